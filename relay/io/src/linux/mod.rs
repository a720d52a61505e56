//! What Linux can do beyond one datagram per system call. All `unsafe` code of the relay is in this folder.

mod address;
mod options;
mod receive;
mod send;

pub(crate) use options::{bundle_arrivals, force_buffers, report_overflows, steer_by_session};

/// A run of datagrams is at most 65,535 bytes. The rest keeps the places of an inbox from sharing the same few cache lines.
pub(crate) const ONE_BUNDLE: usize = 65_536 + 512;

pub(crate) struct Batched {
    pub(crate) receiver: receive::Receiver,
    pub(crate) sender: send::Sender,
}

impl Batched {
    pub(crate) fn new(batch: usize, bundling: bool) -> Batched {
        Batched {
            receiver: receive::Receiver::new(batch),
            sender: send::Sender::new(bundling),
        }
    }
}

/// Room for the control messages of one datagram, aligned as they must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);
