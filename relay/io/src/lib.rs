//! The relay on real sockets: worker threads that receive, ask `relay-core`, and send.
//!
//! It starts on sockets that somebody has bound: [`bind`] does, for those who have no rules of their own about addresses and ports.
//! From then on [`RunningRelay`] is all there is to hold. Datagrams never pass through it: whoever holds it says what is wanted and asks what
//! happened, and each worker attends to that between two batches of datagrams.
//!
//! On Linux, batches of datagrams pass in one system call, and runs of equal datagrams in one packet (UDP GRO and GSO) where the
//! kernel plays along. Elsewhere the same worker moves them one by one; the feature `portable` has it do so on Linux, for tests.

mod batch;
mod binding;
mod counters;
#[cfg(unix)]
mod descriptors;
mod failures;
mod job;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod linux;
mod outboxes;
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
mod portable;
mod running;
mod settings;
mod sockets;
mod worker;

#[cfg(all(target_os = "linux", not(feature = "portable")))]
use linux as platform;
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
use portable as platform;

pub use binding::{bind, Listen};
pub use counters::IoCounters;
#[cfg(unix)]
pub use descriptors::duplicate;
pub use failures::Failure;
pub use running::{ControlError, Load, Refused, RunningRelay, Statistics};
pub use settings::{Settings, StartError};
pub use sockets::{SocketFacts, WorkerSockets};
