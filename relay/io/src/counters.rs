//! What workers count beside what the core counts.

use std::io;

/// What happened at the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Times that a worker received something. Datagrams per batch say how busy it is.
    pub batches: u64,
    /// Runs of datagrams that came as one packet.
    pub bundles_received: u64,
    /// Runs of datagrams that left as one packet.
    pub bundles_sent: u64,
    /// Datagrams that the kernel threw away since a receive buffer was full. Known with the next datagram that is received.
    pub receive_overflows: u64,
    /// Times that receiving failed for another reason.
    pub receive_errors: u64,
    /// Mistakes in the relay that a worker came across.
    pub failures: u64,
}

impl IoCounters {
    pub(crate) fn merge(&mut self, other: &IoCounters) {
        self.batches += other.batches;
        self.bundles_received += other.bundles_received;
        self.bundles_sent += other.bundles_sent;
        self.receive_overflows += other.receive_overflows;
        self.receive_errors += other.receive_errors;
        self.failures += other.failures;
    }
}

/// What came of sending.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SendReport {
    /// Runs of datagrams that left as one packet.
    pub(crate) bundles: u64,
    /// Datagrams lost to a full send buffer.
    pub(crate) buffer_full: u64,
    /// Datagrams lost to any other error.
    pub(crate) failed: u64,
}

impl SendReport {
    /// Counts datagrams that could not be sent.
    pub(crate) fn count_lost(&mut self, error: &io::Error, datagrams: usize) {
        if is_buffer_full(error) {
            self.buffer_full += datagrams as u64;
        } else {
            self.failed += datagrams as u64;
        }
    }
}

fn is_buffer_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(NO_BUFFERS)
}

/// ENOBUFS, which has no kind of its own.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_BUFFERS: i32 = 105;
#[cfg(windows)]
const NO_BUFFERS: i32 = 10055;
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const NO_BUFFERS: i32 = 55;
