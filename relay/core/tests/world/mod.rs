//! A relay with a clock that the test turns, and people around it.

#![allow(dead_code)] // Each test file uses a part.

use std::time::Duration;

use relay_core::*;

pub mod fuzzing;
pub mod separation;
pub mod single;
pub mod witness;
pub mod written;

pub const SESSION: u32 = 0xD0A6_C24D;
pub const HOST: u32 = 0x014F_7C1E;
pub const A: u32 = u32::MAX;
pub const B: u32 = 7;

/// What came out of the relay.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    pub to: PeerAddress,
    pub via: Port,
    pub bytes: Vec<u8>,
}

pub struct World {
    pub relay: Relay,
    pub now: Moment,
    pub pushes: Vec<Push>,
    pub last_verdict: Option<Verdict>,
}

impl World {
    /// The relay of the contract's examples: one session with a host and the clients A and B, nobody of whom has spoken.
    pub fn new() -> World {
        World::with(Settings::default())
    }

    pub fn with(settings: Settings) -> World {
        let mut world = World::untold(settings);
        world.replace(vec![session(SESSION, &[HOST, A, B])]);
        world
    }

    /// A relay that nobody has told anything.
    pub fn untold(settings: Settings) -> World {
        let now = Moment::from_nanos(1_000_000_000);
        World {
            relay: Relay::new(settings, 42),
            now,
            pushes: Vec::new(),
            last_verdict: None,
        }
    }

    pub fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub fn replace(&mut self, wanted: Vec<WantedSession>) -> Vec<(SessionToken, Refusal)> {
        let mut replacement = Replacement::new(wanted);
        while !replacement.step(&mut self.relay, 2, self.now, &mut self.pushes) {}
        replacement.into_refused()
    }

    pub fn apply(&mut self, change: Change) -> Result<(), Refusal> {
        self.relay.apply(&change, self.now, &mut self.pushes)
    }

    /// Passes a datagram in and returns what comes out, having checked what must hold of everything that does.
    pub fn send(&mut self, port: Port, from: impl Into<PeerAddress>, datagram: &[u8]) -> Option<Sent> {
        let from = from.into();
        let mut bytes = datagram.to_vec();
        let verdict = self.relay.receive(port, from, &mut bytes, self.now);
        self.last_verdict = Some(verdict);
        let sent = match verdict {
            Verdict::Forward { to, via, start } => {
                assert_eq!(via, port.other());
                Sent {
                    to,
                    via,
                    bytes: bytes[start..].to_vec(),
                }
            }
            Verdict::Answer(state) | Verdict::Refuse { state, .. } => Sent {
                to: from,
                via: port,
                bytes: state.frame().to_vec(),
            },
            Verdict::Drop(_) => return None,
        };
        assert!(
            sent.bytes.len() < datagram.len(),
            "an answer must be shorter than its question"
        );
        Some(sent)
    }

    pub fn dropped(&self) -> Option<DropReason> {
        match self.last_verdict {
            Some(Verdict::Drop(reason) | Verdict::Refuse { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// The state that a ping is answered with.
    pub fn ping(&mut self, port: Port, from: impl Into<PeerAddress>, user: u32) -> Option<u8> {
        let from = from.into();
        let sent = self.send(port, from, &ping(SESSION, user))?;
        assert_eq!((sent.to, sent.via, sent.bytes.len(), sent.bytes[0]), (from, port, 2, 1));
        Some(sent.bytes[1])
    }

    pub fn statistics(&self) -> SessionStatistics {
        self.relay
            .session(session_token(SESSION), self.now)
            .expect("the session")
    }
}

pub fn address(text: &str) -> PeerAddress {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

pub fn host() -> PeerAddress {
    address("192.0.2.1:1000")
}

pub fn alice() -> PeerAddress {
    address("192.0.2.2:2000")
}

pub fn bob() -> PeerAddress {
    address("192.0.2.3:3000")
}

pub fn stranger() -> PeerAddress {
    address("203.0.113.9:9000")
}

pub fn session_token(number: u32) -> SessionToken {
    SessionToken::new(number).unwrap()
}

pub fn user_token(number: u32) -> UserToken {
    UserToken::new(number).unwrap()
}

pub fn user(number: u32) -> WantedUser {
    WantedUser {
        token: user_token(number),
        ip: None,
    }
}

pub fn session(token: u32, users: &[u32]) -> WantedSession {
    WantedSession {
        token: session_token(token),
        host: None,
        users: users.iter().map(|token| user(*token)).collect(),
    }
}

fn header(session: u32, user: u32, kind: u8) -> Vec<u8> {
    [&user.to_le_bytes()[..], &session.to_le_bytes(), &[kind]].concat()
}

pub fn ping(session: u32, user: u32) -> Vec<u8> {
    header(session, user, 1)
}

pub fn data(session: u32, user: u32, payload: &[u8]) -> Vec<u8> {
    [&header(session, user, 2)[..], payload].concat()
}

pub fn data_to(session: u32, user: u32, connection: u32, payload: &[u8]) -> Vec<u8> {
    data(session, user, &[&connection.to_le_bytes(), payload].concat())
}
