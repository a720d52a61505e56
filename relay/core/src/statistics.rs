//! What the relay counts.

use std::time::Duration;

use crate::reason::Drops;
use crate::state::State;
use crate::token::SessionToken;

/// Datagrams, and the bytes of their UDP payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Traffic {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    fn merge(&mut self, other: Traffic) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// What happened in one session since the relay knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Received, good or bad, as far as it names this session.
    pub received: Traffic,
    /// Sent on to the host.
    pub to_host: Traffic,
    /// Sent on to clients.
    pub to_clients: Traffic,
    /// Pings answered.
    pub pings: u64,
    /// Datagrams that named this session and were dropped.
    pub drops: Drops,
}

/// One session as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatistics {
    /// Which one.
    pub token: SessionToken,
    /// How many users it has.
    pub users: usize,
    /// How many of them have spoken as clients within the client idle timeout.
    pub clients: usize,
    /// Whether it has a host that has not timed out.
    pub has_host: bool,
    /// Since when the relay knows it.
    pub age: Duration,
    /// How long ago a user last spoke; `None`: none ever did.
    pub silent_for: Option<Duration>,
    /// Silent for so long that it should be deleted.
    pub idle: bool,
    /// What happened in it.
    pub counters: Counters,
}

/// What happened altogether, including sessions that are gone and strangers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions now.
    pub sessions: usize,
    /// Users now.
    pub users: usize,
    /// Received, good or bad. Of what is too long, as much as the caller says.
    pub received: Traffic,
    /// Sent on to hosts.
    pub to_hosts: Traffic,
    /// Sent on to clients.
    pub to_clients: Traffic,
    /// State frames sent, asked for or pushed.
    pub states: States,
    /// Datagrams dropped.
    pub drops: Drops,
}

impl Totals {
    /// Adds what another worker's relay has counted.
    pub fn merge(&mut self, other: &Totals) {
        self.sessions += other.sessions;
        self.users += other.users;
        self.received.merge(other.received);
        self.to_hosts.merge(other.to_hosts);
        self.to_clients.merge(other.to_clients);
        self.states.merge(&other.states);
        self.drops.merge(&other.drops);
    }
}

/// A count for every state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States([u64; State::ALL.len()]);

impl States {
    /// How many frames told this state.
    pub const fn of(&self, state: State) -> u64 {
        self.0[state as usize - 1]
    }

    pub(crate) fn add(&mut self, state: State) {
        self.0[state.index()] += 1;
    }

    fn merge(&mut self, other: &States) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }
}
