//! The relay on real sockets: worker threads that receive, ask `relay-core`, and send.
//!
//! It starts on sockets that somebody has bound: [`bind`] does, for those who have no rules of their own about addresses and ports.
//! From then on [`RunningRelay`] is all there is to hold. Datagrams never pass through it: whoever holds it says what is wanted and asks what
//! happened, and each worker attends to that between two batches of datagrams.
//!
//! On Linux, batches of datagrams pass in one system call, and runs of equal datagrams in one packet (UDP GRO and GSO) where the
//! kernel plays along. Elsewhere, and where `Settings::batching` is off, the same worker moves them one by one.

mod batch;
mod binding;
mod counters;
mod job;
#[cfg(target_os = "linux")]
mod linux;
mod running;
mod settings;
mod single;
mod sockets;
mod transport;
mod worker;

pub use binding::{bind, Listen};
pub use counters::IoCounters;
pub use running::{ControlError, Refused, RunningRelay, Statistics};
pub use settings::{Settings, StartError};
pub use sockets::{SocketFacts, WorkerSockets};
