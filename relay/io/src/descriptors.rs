//! Sockets that another part of this process has, by number.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{BorrowedFd, RawFd};

/// A duplicate of the socket with this number, which its owner keeps and may close. What it is for must be looked at, as
/// [`RunningRelay::start`](crate::RunningRelay::start) does: it may be anything.
pub fn duplicate(descriptor: RawFd) -> io::Result<UdpSocket> {
    if descriptor < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is not -1, and borrowed for one system call alone, which either finds it open or fails. Whoever has the number had it from
    // the socket's owner, and closing it meanwhile would be that one's mistake, whose worst outcome is another file's duplicate.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(borrowed.try_clone_to_owned()?.into())
}
