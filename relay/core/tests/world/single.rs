//! One datagram, whatever it is, at the relay of the contract's examples, where the host is bound and A has id 1. What must come of it is
//! written down here once more, straight from the layout of frames.

use relay_core::Port::{Client, Server};
use relay_core::*;

use super::*;

const CAPACITY: Capacity = Capacity {
    sessions: 2,
    users: 8,
    users_per_session: 4,
    sources: 8,
    departed: 0,
};

/// The first byte says where the datagram comes from and on which port it arrives; the others are the datagram.
pub fn check(input: &[u8]) {
    let Some((first, datagram)) = input.split_first() else {
        return;
    };
    let port = Port::ALL[usize::from(first % 2)];
    let from = [host(), alice(), bob(), stranger()][usize::from(first / 2 % 4)];
    let mut world = World::with(Settings {
        capacity: CAPACITY,
        ..Settings::default()
    });
    assert_eq!(world.ping(Server, host(), HOST), Some(2));
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    let (reason, expected) = expected(port, from, datagram);
    let sent = world.send(port, from, datagram);
    assert_eq!((world.dropped(), sent), (reason, expected), "for {datagram:02x?}");
    let totals = world.relay.totals();
    assert_eq!((totals.sessions, totals.users), (1, 3));
}

fn expected(port: Port, from: PeerAddress, datagram: &[u8]) -> (Option<DropReason>, Option<Sent>) {
    let told = |state| {
        Some(Sent {
            to: from,
            via: port,
            bytes: vec![1, state],
        })
    };
    if datagram.len() > 1200 {
        return (Some(DropReason::TooLong), None);
    }
    if datagram.len() < 9 {
        return (Some(DropReason::TooShort), None);
    }
    let (header, rest) = datagram.split_at(9);
    let kind = header[8];
    if kind != 1 && kind != 2 {
        return (Some(DropReason::UnknownType), None);
    }
    if header[4..8] != SESSION.to_le_bytes() {
        return (Some(DropReason::UnknownSession), told(3));
    }
    let user = [HOST, A, B].into_iter().find(|user| header[..4] == user.to_le_bytes());
    match (user, port) {
        (None, _) => (Some(DropReason::UnknownUser), told(3)),
        (Some(HOST), Server) | (Some(_), Client) if kind == 1 => (None, told(2)),
        (Some(user), Client) => {
            if rest.is_empty() {
                return (Some(DropReason::EmptyPayload), None);
            }
            let id = if user == A { 1 } else { 2 };
            let bytes = [&[2, id, 0, 0, 0], rest].concat();
            let sent = Sent {
                to: host(),
                via: Server,
                bytes,
            };
            (None, Some(sent))
        }
        (Some(HOST), Server) => match rest {
            _ if rest.len() <= 4 => (Some(DropReason::EmptyPayload), None),
            [1, 0, 0, 0, payload @ ..] => {
                let bytes = [&[2], payload].concat();
                let sent = Sent {
                    to: alice(),
                    via: Client,
                    bytes,
                };
                (None, Some(sent))
            }
            _ => (Some(DropReason::UnknownConnection), None),
        },
        (Some(_), Server) => (Some(DropReason::RoleRefused), told(3)),
    }
}
