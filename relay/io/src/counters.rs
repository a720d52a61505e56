//! What workers count beside what the core counts.

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
}

impl IoCounters {
    pub(crate) fn merge(&mut self, other: &IoCounters) {
        self.batches += other.batches;
        self.bundles_received += other.bundles_received;
        self.bundles_sent += other.bundles_sent;
        self.receive_overflows += other.receive_overflows;
        self.receive_errors += other.receive_errors;
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
