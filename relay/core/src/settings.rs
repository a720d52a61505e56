//! Everything about the relay that an operator may choose, with defaults that suit games.

use std::time::Duration;

use crate::rate::Rate;

/// Timers, sizes of tables, and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A host that is silent for longer has timed out; pings are answered with SessionTimeout until one returns. More than 10 s, or a
    /// host that loads a large scene loses its LiteNetLib clients.
    pub owner_timeout: Duration,
    /// A client that is silent for so long is sent nothing more until it speaks again.
    pub client_idle_timeout: Duration,
    /// A session without a valid frame for so long is reported as idle.
    pub session_idle_timeout: Duration,
    /// A session that never had a valid frame is reported as idle after so long.
    pub session_unused_timeout: Duration,
    /// Let a user speak only from the IP address that it was registered with. Breaks players behind carrier-grade NAT, on VPNs and
    /// on the move, so off by default.
    pub enforce_source_ip: bool,
    /// Answer unknown tokens with Invalid, at a limited rate. Off: keep silent, which costs KCP clients nothing but a hint on screen.
    pub answer_strangers: bool,
    /// How large the tables may grow.
    pub capacity: Capacity,
    /// What may pass.
    pub limits: Limits,
}

/// How large the tables may grow. Their address space is reserved at the start; memory is used as they fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sessions at most.
    pub sessions: usize,
    /// Users at most, of all sessions together.
    pub users: usize,
    /// Users of one session at most.
    pub users_per_session: usize,
    /// Strangers' IP addresses that are remembered; the longest unseen are forgotten first. 48 bytes each, used from the start.
    pub sources: usize,
    /// Revoked pairs of tokens that are remembered, so that those who used them are not taken for people who guess.
    pub departed: usize,
}

/// What may pass. "Stranger" is whoever does not speak from the address that its tokens are bound to: a new player, one whose address
/// changed, or an intruder. Established connections never suffer from the limits on strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams from one stranger's IP address (IPv6: /64 network).
    pub source_packets: Rate,
    /// Wrong tokens from one IP address; beyond this it is muted. Less than `session_failures`, so that a single address cannot
    /// use up a session's budget.
    pub source_failures: Rate,
    /// For how long.
    pub mute: Duration,
    /// Wrong tokens for one session; beyond this, its strangers are ignored.
    pub session_failures: Rate,
    /// At most one refusal is sent to one IP address, or one known user, in this time.
    pub answer_interval: Duration,
    /// Refusals sent to strangers, all together.
    pub stranger_answers: Rate,
    /// Changes of address of one user in one role.
    pub rebinds: Rate,
    /// A client that comes back from another address after `client_idle_timeout` is given a fresh connection id, at most once in this time.
    pub fresh_connection_interval: Duration,
    /// For how long a revoked pair of tokens is not taken for a guess.
    pub departed_memory: Duration,
    /// Datagrams from one user.
    pub user_packets: Rate,
    /// Datagrams forwarded in one session.
    pub session_packets: Rate,
    /// Bytes forwarded in one session.
    pub session_bytes: Rate,
    /// Datagrams to one host.
    pub host_packets: Rate,
    /// Bytes to one host.
    pub host_bytes: Rate,
    /// Datagrams to one client.
    pub client_packets: Rate,
    /// Bytes to one client.
    pub client_bytes: Rate,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            owner_timeout: Duration::from_secs(30),
            client_idle_timeout: Duration::from_secs(30),
            session_idle_timeout: Duration::from_secs(10 * 60),
            session_unused_timeout: Duration::from_secs(30 * 60),
            enforce_source_ip: false,
            answer_strangers: true,
            capacity: Capacity::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity {
            sessions: 100_000,
            users: 400_000,
            users_per_session: 1_000,
            sources: 32_768,
            departed: 16_384,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            source_packets: Rate::new(20_000, 20_000),
            source_failures: Rate::new(30, 60),
            mute: Duration::from_secs(5),
            session_failures: Rate::new(50, 100),
            answer_interval: Duration::from_millis(500),
            stranger_answers: Rate::new(200, 200),
            rebinds: Rate::new(10, 10),
            fresh_connection_interval: Duration::from_secs(30),
            departed_memory: Duration::from_secs(60),
            user_packets: Rate::new(20_000, 20_000),
            session_packets: Rate::new(50_000, 50_000),
            session_bytes: Rate::new(25_000_000, 25_000_000),
            host_packets: Rate::new(20_000, 20_000),
            host_bytes: Rate::new(12_500_000, 12_500_000),
            client_packets: Rate::new(4_000, 4_000),
            client_bytes: Rate::new(2_500_000, 2_500_000),
        }
    }
}
