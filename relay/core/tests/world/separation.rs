//! A session beside others, and the same session alone: nobody in it must notice a difference.
//!
//! Limits on strangers are off: they are there to make some strangers suffer for others.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use relay_core::Port::{Client, Server};
use relay_core::*;

use super::witness::{wanted, Step};
use super::*;

const OURS: u8 = 1;

fn world() -> World {
    let mut settings = Settings {
        capacity: Capacity {
            sessions: 8,
            users: 64,
            users_per_session: 5,
            sources: 8,
            departed: 4,
        },
        ..Settings::default()
    };
    settings.limits.source_packets = Rate::UNLIMITED;
    settings.limits.source_failures = Rate::UNLIMITED;
    settings.limits.session_failures = Rate::UNLIMITED;
    settings.limits.stranger_answers = Rate::UNLIMITED;
    settings.limits.answer_interval = Duration::ZERO;
    settings.limits.session_packets = Rate::new(500, 50);
    settings.limits.client_bytes = Rate::new(2_000, 3_000);
    settings.limits.user_packets = Rate::new(100, 20);
    let mut world = World::untold(settings);
    world.replace(vec![]);
    world
}

struct Pair {
    together: World,
    alone: World,
}

/// Takes all steps in one relay, those that are about our session in another one too, and compares what that session sees of them.
pub fn check(steps: &[Step]) {
    let mut pair = Pair {
        together: world(),
        alone: world(),
    };
    for step in steps {
        pair.take(step);
        let of_ours = |push: &Push| is_of(OURS, push.to);
        pair.together.pushes.retain(of_ours);
        assert_eq!(pair.together.pushes, pair.alone.pushes);
        pair.together.pushes.clear();
        pair.alone.pushes.clear();
    }
    let ours = session_token(u32::from(OURS));
    assert_eq!(
        pair.together.relay.session(ours, pair.together.now),
        pair.alone.relay.session(ours, pair.alone.now)
    );
}

impl Pair {
    fn take(&mut self, step: &Step) {
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
            Step::Wait { milliseconds } => {
                let time = Duration::from_millis(u64::from(*milliseconds));
                self.together.wait(time);
                self.alone.wait(time);
            }
            Step::Put { session, users, host } => self.apply(*session, &Change::Put(wanted(*session, users, *host))),
            Step::Remove { session } => self.apply(*session, &Change::Remove(session_token(u32::from(*session)))),
            Step::Authorize { session, user: joining } => {
                let change = Change::Authorize(session_token(u32::from(*session)), user(u32::from(*joining)));
                self.apply(*session, &change);
            }
            Step::Revoke { session, user } => {
                let change = Change::Revoke(session_token(u32::from(*session)), user_token(u32::from(*user)));
                self.apply(*session, &change);
            }
            Step::Replace { sessions } => {
                let replace = |world: &mut World, kept: &dyn Fn(u8) -> bool| -> HashSet<_> {
                    let sessions = sessions.iter().filter(|(session, _)| kept(*session));
                    world
                        .replace(sessions.map(|(session, users)| wanted(*session, users, None)).collect())
                        .into_iter()
                        .filter(|(session, _)| session.get() == u32::from(OURS))
                        .map(|(_, refusal)| refusal)
                        .collect()
                };
                assert_eq!(
                    replace(&mut self.together, &|_| true),
                    replace(&mut self.alone, &|session| session == OURS)
                );
            }
        }
    }

    /// Each session's people have addresses of their own, as seen from whom they say that they belong to.
    fn send(&mut self, port: Port, from: u8, datagram: &[u8]) {
        let session = session_number(datagram).map_or(0, |session| u8::try_from(session).unwrap_or(0));
        let from = SocketAddr::from(([10, session, 0, 1], 1 + u16::from(from)));
        let in_company = self.together.send(port, from, datagram);
        if let Some(sent) = &in_company {
            assert!(is_of(session, sent.to), "sent from one session to another");
        }
        if session == OURS {
            let by_itself = self.alone.send(port, from, datagram);
            assert_eq!(
                (in_company, self.together.dropped()),
                (by_itself, self.alone.dropped()),
                "for {datagram:02x?}"
            );
        }
    }

    fn apply(&mut self, session: u8, change: &Change) {
        let in_company = self.together.apply(change.clone());
        if session == OURS {
            assert_eq!(in_company, self.alone.apply(change.clone()));
        }
    }
}

fn is_of(session: u8, peer: PeerAddress) -> bool {
    match peer.socket.ip() {
        IpAddr::V4(ip) => ip.octets()[1] == session,
        IpAddr::V6(_) => false,
    }
}
