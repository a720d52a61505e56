//! What the relay knows of one session and of one user in it.

use std::net::IpAddr;
use std::time::Duration;

use crate::address::PeerAddress;
use crate::moment::Moment;
use crate::rate::Bucket;
use crate::reason::DropReason;
use crate::settings::Settings;
use crate::slab::Index;
use crate::state::State;
use crate::statistics::{Counters, SessionStatistics};
use crate::token::{ConnectionId, ConnectionIds, SessionToken, UserToken};
use crate::verdict::Verdict;

pub(crate) type SessionIndex = Index<Session>;
pub(crate) type UserIndex = Index<User>;

/// Where a peer spoke from last, and when.
#[derive(Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) address: PeerAddress,
    pub(crate) last_seen: Moment,
}

/// The user who hosts, and its address on the server port.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    pub(crate) user: UserIndex,
    pub(crate) binding: Binding,
}

pub(crate) struct Session {
    pub(crate) token: SessionToken,
    /// The only user who may host, where the creator named one.
    pub(crate) pinned_host: Option<UserToken>,
    pub(crate) users: Vec<UserIndex>,
    /// The last host; it has timed out when it has been silent for long.
    pub(crate) host: Option<Host>,
    /// There has been one, so that its absence is a timeout.
    pub(crate) had_host: bool,
    pub(crate) connection_ids: ConnectionIds,
    pub(crate) created: Moment,
    pub(crate) last_seen: Option<Moment>,
    pub(crate) failures: Bucket,
    pub(crate) packets: Bucket,
    pub(crate) bytes: Bucket,
    pub(crate) host_rebinds: Bucket,
    pub(crate) host_packets: Bucket,
    pub(crate) host_bytes: Bucket,
    pub(crate) counters: Counters,
}

impl Session {
    pub(crate) fn new(token: SessionToken, pinned_host: Option<UserToken>, now: Moment) -> Session {
        Session {
            token,
            pinned_host,
            users: Vec::new(),
            host: None,
            had_host: false,
            connection_ids: ConnectionIds::default(),
            created: now,
            last_seen: None,
            failures: Bucket::default(),
            packets: Bucket::default(),
            bytes: Bucket::default(),
            host_rebinds: Bucket::default(),
            host_packets: Bucket::default(),
            host_bytes: Bucket::default(),
            counters: Counters::default(),
        }
    }

    /// The host, unless there is none or it has timed out.
    pub(crate) fn live_host(&self, settings: &Settings, now: Moment) -> Option<&Host> {
        self.host
            .as_ref()
            .filter(|host| now.since(host.binding.last_seen) <= settings.owner_timeout)
    }

    /// Its host has timed out, and nobody hosts in its place.
    pub(crate) fn has_silent_host(&self, settings: &Settings, now: Moment) -> bool {
        self.host.is_some() && self.live_host(settings, now).is_none()
    }

    pub(crate) fn is_idle(&self, settings: &Settings, now: Moment) -> bool {
        match self.last_seen {
            Some(last_seen) => now.since(last_seen) >= settings.session_idle_timeout,
            None => now.since(self.created) >= settings.session_unused_timeout,
        }
    }

    pub(crate) fn statistics(&self, clients: usize, settings: &Settings, now: Moment) -> SessionStatistics {
        SessionStatistics {
            token: self.token,
            users: self.users.len(),
            clients,
            has_host: self.live_host(settings, now).is_some(),
            age: now.since(self.created),
            silent_for: self.last_seen.map(|last_seen| now.since(last_seen)),
            idle: self.is_idle(settings, now),
            counters: self.counters.clone(),
        }
    }
}

pub(crate) struct User {
    pub(crate) token: UserToken,
    pub(crate) session: SessionIndex,
    pub(crate) registered_ip: Option<IpAddr>,
    /// Its address on the client port.
    pub(crate) client: Option<Binding>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) connection_since: Moment,
    /// What it sends, in either role.
    pub(crate) sent: Bucket,
    /// What it is sent as a client.
    pub(crate) received_packets: Bucket,
    pub(crate) received_bytes: Bucket,
    pub(crate) rebinds: Bucket,
    pub(crate) next_refusal: Moment,
}

impl User {
    pub(crate) fn new(token: UserToken, session: SessionIndex, registered_ip: Option<IpAddr>) -> User {
        User {
            token,
            session,
            registered_ip,
            client: None,
            connection: None,
            connection_since: Moment::ORIGIN,
            sent: Bucket::default(),
            received_packets: Bucket::default(),
            received_bytes: Bucket::default(),
            rebinds: Bucket::default(),
            next_refusal: Moment::ORIGIN,
        }
    }

    /// Its address on the client port, unless it has been silent for so long that the address may be somebody else's.
    pub(crate) fn live_client(&self, settings: &Settings, now: Moment) -> Option<&Binding> {
        self.client
            .as_ref()
            .filter(|binding| now.since(binding.last_seen) < settings.client_idle_timeout)
    }

    /// Tells the user so, unless it was told something like it a moment ago: one that sends DATA sends it many times a second.
    pub(crate) fn refuse(&mut self, state: State, reason: DropReason, interval: Duration, now: Moment) -> Verdict {
        if now < self.next_refusal {
            return Verdict::Drop(reason);
        }
        self.next_refusal = now + interval;
        Verdict::Refuse { state, reason }
    }
}
