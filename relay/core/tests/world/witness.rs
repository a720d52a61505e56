//! Watches a relay do things at random and objects to whatever it must never do.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use relay_core::Port::{Client, Server};
use relay_core::*;

use super::*;

/// One thing that happens. Small numbers throughout, so that things meet.
#[derive(Clone, Debug)]
pub enum Step {
    /// A datagram that is well formed: port, sender's address, session, user, connection id, payload; no payload: a PING.
    Frame {
        port: Port,
        from: u8,
        session: u8,
        user: u8,
        connection: u8,
        payload: Option<u16>,
    },
    /// Any bytes at all.
    Noise {
        port: Port,
        from: u8,
        bytes: Vec<u8>,
    },
    /// A well-formed frame with one byte changed and cut off somewhere.
    Mutant {
        port: Port,
        from: u8,
        session: u8,
        user: u8,
        at: u8,
        byte: u8,
        length: u8,
    },
    Wait {
        milliseconds: u32,
    },
    Put {
        session: u8,
        users: Vec<u8>,
        host: Option<u8>,
    },
    Remove {
        session: u8,
    },
    Authorize {
        session: u8,
        user: u8,
    },
    Revoke {
        session: u8,
        user: u8,
    },
    Replace {
        sessions: Vec<(u8, Vec<u8>)>,
    },
}

pub const CAPACITY: Capacity = Capacity {
    sessions: 4,
    users: 12,
    users_per_session: 5,
    sources: 8,
    departed: 4,
};

pub struct Witness {
    pub world: World,
    /// What was asked for and not refused.
    wanted: HashMap<u32, HashSet<u32>>,
    /// Everybody who ever spoke with good tokens: session, user, port, address.
    spoke: HashSet<(u32, u32, Port, PeerAddress)>,
    /// Who was shown to a host under which id, in this life of the session.
    shown: HashMap<(u32, u32), u32>,
}

impl Witness {
    pub fn new() -> Witness {
        let mut settings = Settings {
            capacity: CAPACITY,
            ..Settings::default()
        };
        settings.limits.session_packets = Rate::new(500, 50);
        settings.limits.source_failures = Rate::new(10, 20);
        settings.limits.mute = Duration::from_secs(1);
        settings.limits.session_failures = Rate::new(15, 30);
        let mut world = World::untold(settings);
        world.replace(vec![]);
        Witness {
            world,
            wanted: HashMap::new(),
            spoke: HashSet::new(),
            shown: HashMap::new(),
        }
    }

    pub fn take(&mut self, step: &Step) {
        let (known, wanted) = match step {
            Step::Frame { .. } | Step::Noise { .. } | Step::Mutant { .. } | Step::Wait { .. } => Default::default(),
            _ => (self.spoke.clone(), self.wanted.clone()),
        };
        self.make(step);
        self.check_pushes(&known, &wanted);
        self.check_totals();
    }

    fn make(&mut self, step: &Step) {
        match step {
            Step::Frame {
                port,
                from,
                session,
                user,
                connection,
                payload,
            } => {
                let (session, user) = (u32::from(*session), u32::from(*user));
                let frame = match (payload, port) {
                    (None, _) => ping(session, user),
                    (Some(length), Client) => data(session, user, &vec![7; usize::from(*length)]),
                    (Some(length), Server) => {
                        data_to(session, user, u32::from(*connection), &vec![7; usize::from(*length)])
                    }
                };
                self.send(*port, *from, &frame);
            }
            Step::Noise { port, from, bytes } => self.send(*port, *from, bytes),
            Step::Mutant {
                port,
                from,
                session,
                user,
                at,
                byte,
                length,
            } => {
                let mut frame = data_to(u32::from(*session), u32::from(*user), 1, b"some payload");
                let at = usize::from(*at) % frame.len();
                frame[at] = *byte;
                frame.truncate(usize::from(*length));
                self.send(*port, *from, &frame);
            }
            Step::Wait { milliseconds } => self.world.wait(Duration::from_millis(u64::from(*milliseconds))),
            Step::Put { session, users, host } => {
                let wanted = wanted(*session, users, *host);
                if self.world.apply(Change::Put(wanted.clone())).is_ok() {
                    self.want(&wanted);
                }
            }
            Step::Remove { session } => {
                self.world
                    .apply(Change::Remove(session_token(u32::from(*session))))
                    .unwrap();
                self.forget(u32::from(*session));
            }
            Step::Authorize { session, user: joining } => {
                let (session, joining) = (u32::from(*session), u32::from(*joining));
                if self
                    .world
                    .apply(Change::Authorize(session_token(session), user(joining)))
                    .is_ok()
                {
                    self.wanted
                        .get_mut(&session)
                        .expect("a session that was put")
                        .insert(joining);
                }
            }
            Step::Revoke { session, user } => {
                let (session, user) = (u32::from(*session), u32::from(*user));
                self.world
                    .apply(Change::Revoke(session_token(session), user_token(user)))
                    .unwrap();
                self.wanted.entry(session).and_modify(|users| {
                    users.remove(&user);
                });
                self.spoke
                    .retain(|(spoken, speaker, ..)| (*spoken, *speaker) != (session, user));
            }
            Step::Replace { sessions } => self.replace(sessions),
        }
    }

    fn replace(&mut self, sessions: &[(u8, Vec<u8>)]) {
        let all: Vec<_> = sessions
            .iter()
            .map(|(session, users)| wanted(*session, users, None))
            .collect();
        let refused: Vec<_> = self
            .world
            .replace(all.clone())
            .iter()
            .map(|(session, _)| session.get())
            .collect();
        let kept: HashSet<_> = all.iter().map(|session| session.token.get()).collect();
        for gone in self
            .wanted
            .keys()
            .copied()
            .filter(|session| !kept.contains(session))
            .collect::<Vec<_>>()
        {
            self.forget(gone);
        }
        // One that is named twice may be refused once: the relay says which, not at which place.
        for session in all.iter().filter(|session| !refused.contains(&session.token.get())) {
            self.want(session);
        }
        for session in refused {
            self.wanted.remove(&session);
            self.world.apply(Change::Remove(session_token(session))).unwrap();
            self.forget(session);
        }
    }

    fn want(&mut self, session: &WantedSession) {
        let users: HashSet<_> = session.users.iter().map(|user| user.token.get()).collect();
        let session = session.token.get();
        self.spoke
            .retain(|(spoken, user, ..)| *spoken != session || users.contains(user));
        self.wanted.insert(session, users);
    }

    fn forget(&mut self, session: u32) {
        self.wanted.remove(&session);
        self.spoke.retain(|(spoken, ..)| *spoken != session);
        self.shown.retain(|(shown, _), _| *shown != session);
    }

    fn send(&mut self, port: Port, from: u8, datagram: &[u8]) {
        // Some of whom differ in nothing but the address that they dialled.
        let dialled = (from % 2 == 1).then(|| OwnAddress {
            ip: std::net::IpAddr::from([198, 51, 100, 1]),
            interface: 0,
        });
        let from = PeerAddress {
            socket: SocketAddr::from(([192, 0, 2, from / 4], u16::from(from / 2))),
            dialled,
        };
        let sent = self.world.send(port, from, datagram);
        let verdict = self.world.last_verdict.expect("a verdict");
        let tokens = (datagram.len() >= 9).then(|| (number(datagram, 4), number(datagram, 0)));
        let is_wanted =
            tokens.is_some_and(|(session, user)| self.wanted.get(&session).is_some_and(|users| users.contains(&user)));
        match verdict {
            Verdict::Forward { to, via, .. } => {
                let (session, user) = tokens.expect("tokens");
                assert!(is_wanted, "forwarded for somebody it was not told about");
                self.spoke.insert((session, user, port, from));
                assert!(
                    self.spoke
                        .iter()
                        .any(|(spoken, _, at, peer)| (*spoken, *at, *peer) == (session, via, to)),
                    "delivered to somebody who is not in the session"
                );
                let sent = sent.expect("something sent").bytes;
                assert!(sent.len() <= MAX_DATAGRAM);
                match via {
                    Server => {
                        assert_eq!((sent[0], &sent[5..]), (2, &datagram[9..]));
                        let connection = number(&sent, 1);
                        assert!((1..=i32::MAX as u32).contains(&connection));
                        assert_eq!(
                            *self.shown.entry((session, connection)).or_insert(user),
                            user,
                            "an id was reused"
                        );
                    }
                    Client => assert_eq!((sent[0], &sent[1..]), (2, &datagram[13..])),
                }
            }
            Verdict::Answer(state) => {
                assert!(is_wanted && datagram[8] == 1);
                assert!(matches!(state, State::Valid | State::SessionTimeout));
                let (session, user) = tokens.expect("tokens");
                self.spoke.insert((session, user, port, from));
            }
            Verdict::Refuse {
                state: State::Invalid,
                reason,
            } => {
                assert_eq!(is_wanted, reason == DropReason::RoleRefused);
            }
            Verdict::Refuse { state, reason } => {
                assert!(is_wanted);
                assert_eq!((state, reason), (State::SessionTimeout, DropReason::HostTimedOut));
                let (session, user) = tokens.expect("tokens");
                self.spoke.insert((session, user, port, from));
            }
            // Most of those who are in the session and say nothing that can be passed on are bound nevertheless.
            Verdict::Drop(reason) => {
                assert!(!is_wanted || !matches!(reason, DropReason::UnknownUser | DropReason::UnknownSession));
                if let (true, Some((session, user))) = (is_wanted, tokens) {
                    self.spoke.insert((session, user, port, from));
                }
            }
        }
    }

    /// Nobody is sent anything unasked but who lost its place, where it was; and that once.
    fn check_pushes(&mut self, known: &HashSet<(u32, u32, Port, PeerAddress)>, wanted: &HashMap<u32, HashSet<u32>>) {
        let mut told = HashMap::new();
        for push in std::mem::take(&mut self.world.pushes) {
            assert_eq!(push.state, State::Invalid);
            *told.entry((push.via, push.to)).or_insert(0) += 1;
        }
        for ((via, to), times) in told {
            let who: HashSet<_> = known
                .iter()
                .filter(|(session, user, port, peer)| {
                    (*port, *peer) == (via, to) && wanted.get(session).is_some_and(|users| users.contains(user))
                })
                .map(|(session, user, ..)| (session, user))
                .collect();
            assert!(times <= who.len(), "told somebody who was not there, or more than once");
        }
    }

    fn check_totals(&self) {
        let totals = self.world.relay.totals();
        assert!(totals.sessions <= CAPACITY.sessions && totals.users <= CAPACITY.users);
        assert_eq!(totals.sessions, self.wanted.len());
        assert_eq!(totals.users, self.wanted.values().map(HashSet::len).sum::<usize>());
        self.world
            .relay
            .session_statistics(0, usize::MAX, self.world.now, |session| {
                let counters = session.counters;
                let accounted = counters.to_host.packets + counters.to_clients.packets + counters.pings;
                assert_eq!(counters.received.packets, accounted + counters.drops.total());
            });
    }
}

pub fn wanted(token: u8, users: &[u8], host: Option<u8>) -> WantedSession {
    let users: Vec<_> = users.iter().map(|user| u32::from(*user)).collect();
    WantedSession {
        host: host.map(|host| user_token(u32::from(host))),
        ..session(u32::from(token), &users)
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}
