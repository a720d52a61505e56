//! Datagrams between one receive and the sends that follow from it. They are never copied: what leaves is part of what came.

use relay_core::PeerAddress;

/// Received datagrams, in memory that is made once.
pub(crate) struct Inbox {
    pub(crate) buffer: Box<[u8]>,
    /// Bytes from one place to the next.
    pub(crate) stride: usize,
    pub(crate) arrivals: Vec<Arrival>,
}

/// A datagram, or a run of datagrams of one sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) from: PeerAddress,
    pub(crate) start: usize,
    pub(crate) length: usize,
    /// The length of each datagram of the run; the last may be shorter.
    pub(crate) segment: usize,
}

impl Inbox {
    /// `places` datagrams, or runs of them, at most.
    pub(crate) fn new(places: usize, stride: usize) -> Inbox {
        Inbox {
            buffer: vec![0; places * stride].into_boxed_slice(),
            stride,
            arrivals: Vec::with_capacity(places),
        }
    }
}

/// What a receive found out beside the datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    /// Nothing more is waiting.
    pub(crate) drained: bool,
    /// What the socket has lost to a full buffer since it was made, where this was reported.
    pub(crate) overflows: Option<u32>,
    /// Datagrams that came with notes that could not be read whole.
    pub(crate) unreadable: u64,
}

/// Bytes of the inbox that are to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    pub(crate) to: PeerAddress,
    pub(crate) start: usize,
    pub(crate) length: usize,
}

impl Departure {
    pub(crate) fn bytes<'inbox>(&self, buffer: &'inbox [u8]) -> &'inbox [u8] {
        &buffer[self.start..self.start + self.length]
    }
}
