//! Many datagrams in one system call.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, socklen_t};
use mio::net::UdpSocket;

use super::address::{self, RawAddress};
use super::Control;
use crate::batch::{Arrival, Inbox, Received};

/// What the kernel is given to write to, made once.
pub(crate) struct Receiver {
    headers: Box<[mmsghdr]>,
    vectors: Box<[iovec]>,
    addresses: Box<[RawAddress]>,
    controls: Box<[Control]>,
}

impl Receiver {
    pub(crate) fn new(batch: usize) -> Receiver {
        // SAFETY: an `mmsghdr` of zeroes is a valid one: null pointers with lengths of zero.
        let header: mmsghdr = unsafe { std::mem::zeroed() };
        Receiver {
            headers: vec![header; batch].into_boxed_slice(),
            vectors: vec![
                iovec {
                    iov_base: ptr::null_mut(),
                    iov_len: 0
                };
                batch
            ]
            .into_boxed_slice(),
            addresses: vec![address::EMPTY; batch].into_boxed_slice(),
            controls: vec![Control([0; 64]); batch].into_boxed_slice(),
        }
    }

    pub(crate) fn receive(&mut self, socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<Received> {
        self.point_into(inbox);
        let places = self.headers.len();
        // SAFETY: `point_into` has just made each header point to memory of its own, with its true length, in boxes of `self` and
        // of the inbox, all of which are borrowed until the call has returned. The kernel writes nowhere else.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                places as u32,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(Received {
                    drained: true,
                    overflows: None,
                }),
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => Ok(Received::default()),
                _ => Err(error),
            };
        }
        let count = count as usize;
        let mut received = Received {
            drained: count < places,
            overflows: None,
        };
        for place in 0..count {
            let header = &self.headers[place];
            // A source that is not of the internet cannot be; if it were, there would be nobody to answer.
            let Some(from) = address::read(&self.addresses[place]) else {
                continue;
            };
            let length = header.msg_len as usize;
            let notes = read_notes(&header.msg_hdr);
            received.overflows = notes.overflows.or(received.overflows);
            inbox.arrivals.push(Arrival {
                from,
                start: place * inbox.stride,
                length,
                segment: notes.segment.unwrap_or(length),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(received)
    }

    /// The kernel has overwritten all lengths with what it used, so they are set before every call.
    fn point_into(&mut self, inbox: &mut Inbox) {
        let rows = self
            .headers
            .iter_mut()
            .zip(self.vectors.iter_mut())
            .zip(self.addresses.iter_mut());
        let places = inbox.buffer.chunks_exact_mut(inbox.stride);
        for (((header, vector), address), (control, place)) in rows.zip(self.controls.iter_mut().zip(places)) {
            vector.iov_base = place.as_mut_ptr().cast::<c_void>();
            vector.iov_len = place.len();
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::addr_of_mut!(*address).cast::<c_void>();
            header.msg_namelen = size_of::<RawAddress>() as socklen_t;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast::<c_void>();
            header.msg_controllen = control.0.len() as _;
        }
    }
}

#[derive(Default)]
struct Notes {
    segment: Option<usize>,
    overflows: Option<u32>,
}

/// What the kernel noted beside a datagram.
fn read_notes(header: &msghdr) -> Notes {
    let mut notes = Notes::default();
    // SAFETY: the kernel has filled the control memory that `header` points to and set its length; `CMSG_FIRSTHDR` and `CMSG_NXTHDR`
    // stay within it and return null at its end. The memory lives in a box of the receiver, is not borrowed otherwise, and is aligned.
    unsafe {
        let mut message: *const cmsghdr = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let payload = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    notes.segment = usize::try_from(payload.cast::<c_int>().read_unaligned())
                        .ok()
                        .filter(|size| *size > 0);
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    notes.overflows = Some(payload.cast::<u32>().read_unaligned());
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    notes
}
