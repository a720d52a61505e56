//! What the relay does with each datagram: `(bytes, from, now) -> verdict`.
//!
//! No sockets, no clock, no randomness of its own: the caller receives and sends, says what time it is, and passes a secret in. That
//! makes every rule testable to the nanosecond, and the same code good for any kind of socket.
//!
//! - [`Relay::receive`] judges one datagram and rewrites it in place if it is to be forwarded. It takes the same time however
//!   many sessions there are, and allocates nothing.
//! - [`Relay::apply`] and [`Replacement`] make what the control plane wants true. The relay knows nobody whom it was not told about.
//! - [`Relay::totals`] and [`Relay::session_statistics`] say what happened.

#![forbid(unsafe_code)]

mod address;
mod client;
mod control;
mod departed;
mod frame;
mod hash;
mod host;
mod moment;
mod rate;
mod reason;
mod relay;
mod replacement;
mod session;
mod settings;
mod slab;
mod source;
mod state;
mod statistics;
mod stranger;
mod table;
mod token;
mod verdict;
mod wanted;

pub use address::{OwnAddress, PeerAddress};
pub use frame::{session_number, Port, MAX_DATAGRAM};
pub use moment::Moment;
pub use rate::Rate;
pub use reason::{DropReason, Drops};
pub use relay::Relay;
pub use replacement::Replacement;
pub use settings::{Capacity, Limits, Settings};
pub use state::State;
pub use statistics::{Counters, SessionStatistics, States, Totals, Traffic};
pub use token::{ConnectionId, SessionToken, UserToken};
pub use verdict::{Push, Verdict};
pub use wanted::{Change, Refusal, WantedSession, WantedUser};
