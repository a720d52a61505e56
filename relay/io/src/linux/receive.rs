//! Many datagrams in one system call.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_void, iovec, mmsghdr, socklen_t};
use mio::net::UdpSocket;
use relay_core::PeerAddress;

use super::address::{self, RawAddress};
use super::notes::{self, Control};
use crate::batch::{Arrival, Inbox, Received};

/// What the kernel is given to write to, made once.
pub(super) struct Receiver {
    headers: Box<[mmsghdr]>,
    vectors: Box<[iovec]>,
    addresses: Box<[RawAddress]>,
    controls: Box<[Control]>,
    /// Datagrams in one system call.
    at_once: usize,
}

impl Receiver {
    pub(super) fn new(places: usize, at_once: usize) -> Receiver {
        // SAFETY: an `mmsghdr` of zeroes is a valid one: null pointers with lengths of zero.
        let header: mmsghdr = unsafe { std::mem::zeroed() };
        Receiver {
            headers: vec![header; places].into_boxed_slice(),
            vectors: vec![
                iovec {
                    iov_base: ptr::null_mut(),
                    iov_len: 0
                };
                places
            ]
            .into_boxed_slice(),
            addresses: vec![address::EMPTY; places].into_boxed_slice(),
            controls: vec![notes::EMPTY; places].into_boxed_slice(),
            at_once,
        }
    }

    /// Fills the inbox as far as there are datagrams.
    pub(super) fn receive(&mut self, socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<Received> {
        self.point_into(inbox);
        let mut received = Received::default();
        let places = self.headers.len();
        let mut filled = 0;
        while filled < places && !received.drained {
            let room = self.at_once.min(places - filled);
            match self.call(socket, filled, room) {
                Ok(count) => {
                    self.unpack(filled, count, inbox, &mut received);
                    filled += count;
                    received.drained = count < room;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => received.drained = true,
                    // News of a datagram that could not be delivered: it says nothing about the next one.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => break,
                    // What has come is looked at first. If this was not for once, it will come again.
                    _ if filled > 0 => break,
                    _ => return Err(error),
                },
            }
        }
        Ok(received)
    }

    /// Has the kernel fill places from this one on; returns how many it did.
    fn call(&mut self, socket: &UdpSocket, from: usize, room: usize) -> io::Result<usize> {
        // SAFETY: `point_into` has made each header point to memory of its own, with its true length, in boxes of `self` and of the
        // inbox, both of which `receive` borrows throughout. The kernel writes nowhere else.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers[from..from + room].as_mut_ptr(),
                room as u32,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    fn unpack(&self, from: usize, count: usize, inbox: &mut Inbox, received: &mut Received) {
        for place in from..from + count {
            let header = &self.headers[place];
            // A source that is not of the internet cannot be; if it were, there would be nobody to answer.
            let Some(socket) = address::read(&self.addresses[place]) else {
                continue;
            };
            let length = header.msg_len as usize;
            let notes = notes::read(&header.msg_hdr);
            received.overflows = notes.overflows.or(received.overflows);
            // Without all notes a run cannot be told from a datagram.
            if header.msg_hdr.msg_flags & libc::MSG_CTRUNC != 0 {
                received.unreadable += 1;
                continue;
            }
            inbox.arrivals.push(Arrival {
                from: PeerAddress {
                    socket,
                    dialled: notes.dialled,
                },
                start: place * inbox.stride,
                length,
                segment: notes.segment.unwrap_or(length),
            });
        }
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
