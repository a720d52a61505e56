//! What is to be done about a datagram.

use crate::address::PeerAddress;
use crate::frame::Port;
use crate::reason::DropReason;
use crate::state::State;

/// What is to be done about a datagram. Whatever is sent is shorter than what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Send the datagram, which has been rewritten, from byte `start` to its end.
    Forward {
        /// To this address,
        to: PeerAddress,
        /// from this port.
        via: Port,
        /// The first byte that is sent.
        start: usize,
    },
    /// Send this state to where the datagram came from, from the port that it came to.
    Answer(State),
    /// Likewise; it was refused.
    Refuse {
        /// What the sender is told.
        state: State,
        /// What we count, which says more than strangers are told.
        reason: DropReason,
    },
    /// Send nothing.
    Drop(DropReason),
}

/// A state frame that nobody asked for: the answer to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// The peer's address.
    pub to: PeerAddress,
    /// The port to send it from.
    pub via: Port,
    /// What the peer is told.
    pub state: State,
}
