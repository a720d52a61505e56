//! The way of a datagram through the relay.

use crate::address::PeerAddress;
use crate::departed::Departed;
use crate::frame::{Header, Kind, Port};
use crate::hash::KeyedHash;
use crate::moment::Moment;
use crate::reason::DropReason;
use crate::session::{SessionIndex, UserIndex};
use crate::settings::Settings;
use crate::source::SourceTable;
use crate::state::State;
use crate::statistics::{SessionStatistics, Totals};
use crate::stranger::UnknownSessions;
use crate::table::Table;
use crate::token::SessionToken;
use crate::verdict::Verdict;

/// Everything that the relay knows.
pub struct Relay {
    pub(crate) settings: Settings,
    pub(crate) table: Table,
    pub(crate) sources: SourceTable,
    pub(crate) unknown_sessions: UnknownSessions,
    pub(crate) departed: Departed,
    pub(crate) stranger_answers: crate::rate::Bucket,
    /// A whole wanted set has arrived, so that who is not in it is wrong rather than early.
    pub(crate) complete: bool,
    pub(crate) draining: bool,
    pub(crate) totals: Totals,
}

/// A datagram without its bytes, which are passed beside it since they are rewritten.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) port: Port,
    pub(crate) from: PeerAddress,
    pub(crate) header: Header,
    pub(crate) now: Moment,
}

/// A verdict, and the session that it is counted in.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) session: Option<SessionIndex>,
}

impl Relay {
    /// A relay that knows nobody, and tells everybody that it is still Checking until its first [`Replacement`] is complete.
    ///
    /// `secret` is a random number that nobody outside may know.
    pub fn new(settings: Settings, secret: u64) -> Relay {
        let hash = KeyedHash::new(secret);
        Relay {
            table: Table::new(&settings.capacity, hash),
            sources: SourceTable::new(settings.capacity.sources, hash),
            unknown_sessions: UnknownSessions::new(hash),
            departed: Departed::new(settings.capacity.departed, hash),
            stranger_answers: crate::rate::Bucket::default(),
            complete: false,
            draining: false,
            totals: Totals::default(),
            settings,
        }
    }

    /// Says what to do about a datagram that arrived at `port`. Its bytes are rewritten in place if they are to be forwarded.
    pub fn receive(&mut self, port: Port, from: impl Into<PeerAddress>, datagram: &mut [u8], now: Moment) -> Verdict {
        self.totals.received.add(datagram.len());
        let judgement = self.judge(port, from.into(), datagram, now);
        self.count(&judgement, datagram.len());
        judgement.verdict
    }

    /// From now on, or no longer: pings are answered with Error, because the relay is about to go away. Traffic still flows.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Counts a datagram of so many bytes that was received, and dropped without asking.
    pub fn count_unjudged(&mut self, reason: DropReason, bytes: usize) {
        self.totals.received.add(bytes);
        self.totals.drops.add(reason, 1);
    }

    /// Counts datagrams that could not be sent though they were to be.
    pub fn count_drops(&mut self, reason: DropReason, datagrams: u64) {
        self.totals.drops.add(reason, datagrams);
    }

    /// As if `session` had used connection ids up to `issued`: two thousand million of them are more than a test can wait for.
    #[doc(hidden)]
    pub fn use_up_connections(&mut self, session: SessionToken, issued: u32) {
        if let Some(index) = self.table.session(session.get()) {
            self.table.sessions[index].connection_ids.use_up(issued);
        }
    }

    /// What happened altogether.
    pub fn totals(&self) -> Totals {
        Totals {
            sessions: self.table.sessions.len(),
            users: self.table.users.len(),
            ..self.totals.clone()
        }
    }

    /// One session as it is now.
    pub fn session(&self, token: SessionToken, now: Moment) -> Option<SessionStatistics> {
        let index = self.table.session(token.get())?;
        Some(self.statistics(index, now))
    }

    /// All sessions as they are now, a part at a time: looks at up to `budget` of them from `cursor` (at first 0) on, and returns
    /// the cursor to go on from, or `None` when that was all. Sessions that come or go meanwhile may be missed.
    pub fn session_statistics(
        &self,
        cursor: usize,
        budget: usize,
        now: Moment,
        mut each: impl FnMut(SessionStatistics),
    ) -> Option<usize> {
        let (sessions, next) = self.table.sessions.walk(cursor, budget);
        for session in sessions {
            each(session.statistics(self.live_clients(&session.users, now), &self.settings, now));
        }
        next
    }

    /// How many addresses are bound now, those of hosts and of clients; in parts, like `session_statistics`.
    pub fn bindings(&self, cursor: usize, budget: usize, now: Moment) -> (usize, Option<usize>) {
        let (sessions, next) = self.table.sessions.walk(cursor, budget);
        let bound = sessions.map(|session| {
            let host = session.live_host(&self.settings, now);
            usize::from(host.is_some()) + self.live_clients(&session.users, now)
        });
        (bound.sum(), next)
    }

    /// The sessions that nobody has used for so long that they should be deleted; in parts, like `session_statistics`.
    pub fn idle_sessions(
        &self,
        cursor: usize,
        budget: usize,
        now: Moment,
        mut each: impl FnMut(SessionToken),
    ) -> Option<usize> {
        let (sessions, next) = self.table.sessions.walk(cursor, budget);
        sessions
            .filter(|session| session.is_idle(&self.settings, now))
            .for_each(|session| each(session.token));
        next
    }

    /// The sessions whose host has been silent for longer than the owner timeout; in parts, like `session_statistics`.
    pub fn silent_hosts(
        &self,
        cursor: usize,
        budget: usize,
        now: Moment,
        mut each: impl FnMut(SessionToken),
    ) -> Option<usize> {
        let (sessions, next) = self.table.sessions.walk(cursor, budget);
        sessions
            .filter(|session| session.has_silent_host(&self.settings, now))
            .for_each(|session| each(session.token));
        next
    }

    fn judge(&mut self, port: Port, from: PeerAddress, datagram: &mut [u8], now: Moment) -> Judgement {
        let header = match Header::read(datagram) {
            Ok(header) => header,
            Err(reason) => {
                return Judgement {
                    verdict: Verdict::Drop(reason),
                    session: None,
                }
            }
        };
        if from.socket.port() == 0 {
            return Judgement {
                verdict: Verdict::Drop(DropReason::UnanswerableSource),
                session: None,
            };
        }
        let arrival = Arrival {
            port,
            from,
            header,
            now,
        };
        // Established connections come first: whatever strangers do, these see none of the limits made for them. One look-up is
        // cheaper than the buckets that it saves.
        let user = self.table.user(header.session, header.user);
        match user {
            Some(user) if self.is_established(user, &arrival) => self.welcome(user, &arrival, datagram),
            _ => self.meet_stranger(user, &arrival, datagram),
        }
    }

    /// What a user says is heard; who it is has been settled.
    pub(crate) fn welcome(&mut self, user: UserIndex, arrival: &Arrival, datagram: &mut [u8]) -> Judgement {
        let session = self.table.users[user].session;
        let verdict = match arrival.port {
            Port::Client => self.hear_client(user, arrival, datagram),
            Port::Server => self.hear_host(user, arrival, datagram),
        };
        Judgement {
            verdict,
            session: Some(session),
        }
    }

    /// Whether the datagram comes from the address that its user is bound to in this role.
    fn is_established(&self, user: UserIndex, arrival: &Arrival) -> bool {
        let known = &self.table.users[user];
        match arrival.port {
            Port::Client => known.client.is_some_and(|binding| binding.address == arrival.from),
            Port::Server => self.table.sessions[known.session]
                .live_host(&self.settings, arrival.now)
                .is_some_and(|host| host.user == user && host.binding.address == arrival.from),
        }
    }

    pub(crate) fn state_of_ping(&self, state: State) -> State {
        if self.draining {
            State::Error
        } else {
            state
        }
    }

    fn statistics(&self, index: SessionIndex, now: Moment) -> SessionStatistics {
        let session = &self.table.sessions[index];
        session.statistics(self.live_clients(&session.users, now), &self.settings, now)
    }

    fn live_clients(&self, users: &[UserIndex], now: Moment) -> usize {
        users
            .iter()
            .filter(|user| self.table.users[**user].live_client(&self.settings, now).is_some())
            .count()
    }

    fn count(&mut self, judgement: &Judgement, length: usize) {
        let mut counters = judgement
            .session
            .map(|session| &mut self.table.sessions[session].counters);
        if let Some(counters) = &mut counters {
            counters.received.add(length);
        }
        match judgement.verdict {
            Verdict::Forward { via, start, .. } => {
                let bytes = length - start;
                // What leaves from the server port goes to a host.
                match via {
                    Port::Server => self.totals.to_hosts.add(bytes),
                    Port::Client => self.totals.to_clients.add(bytes),
                }
                if let Some(counters) = counters {
                    match via {
                        Port::Server => counters.to_host.add(bytes),
                        Port::Client => counters.to_clients.add(bytes),
                    }
                }
            }
            Verdict::Answer(state) => {
                self.totals.states.add(state);
                if let Some(counters) = counters {
                    counters.pings += 1;
                }
            }
            Verdict::Refuse { state, reason } => {
                self.totals.states.add(state);
                self.totals.drops.add(reason, 1);
                if let Some(counters) = counters {
                    counters.drops.add(reason, 1);
                }
            }
            Verdict::Drop(reason) => {
                self.totals.drops.add(reason, 1);
                if let Some(counters) = counters {
                    counters.drops.add(reason, 1);
                }
            }
        }
    }
}

/// What every path asks of a user's frame first.
pub(crate) fn is_ping(arrival: &Arrival) -> bool {
    arrival.header.kind == Kind::Ping
}
