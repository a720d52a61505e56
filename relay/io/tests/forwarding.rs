//! Datagrams between hosts and clients, in every way that the relay has of moving them.

mod loopback;

use loopback::*;
use relay_core::{DropReason, Port};

#[test]
fn a_game_is_played() {
    for kind in every_kind() {
        let relay = kind.start(&[1, 2, 3, 4, 5, 6]);
        for session in 1..=6 {
            let host = Peer::new(&relay, Port::Server, session, HOST);
            let alice = Peer::new(&relay, Port::Client, session, A);
            let bob = Peer::new(&relay, Port::Client, session, B);
            assert_eq!(host.ping(), 2);
            // Alice speaks first and pings later, Bob the other way round.
            alice.send(b"hello");
            assert_eq!(host.hear_from(), (1, b"hello".to_vec()));
            assert_eq!(bob.ping(), 2);
            bob.send(&[9; 1187]);
            assert_eq!(host.hear_from(), (2, vec![9; 1187]));
            for number in 0..100_u8 {
                host.send_to(1, &[number; 50]);
                host.send_to(2, &[number; 1187]);
                assert_eq!(alice.hear_data(), [number; 50]);
                assert_eq!(bob.hear_data(), [number; 1187]);
            }
            assert_eq!(alice.ping(), 2);
        }
        let statistics = relay.statistics(PATIENCE).unwrap();
        assert_eq!((statistics.totals.sessions, statistics.totals.users), (6, 18));
        assert_eq!(
            (statistics.totals.to_hosts.packets, statistics.totals.to_clients.packets),
            (12, 1200)
        );
        assert_eq!(statistics.totals.drops.total(), 0);
        let sessions = relay.sessions(PATIENCE).unwrap();
        assert_eq!(sessions.len(), 6);
        assert!((1..=6).all(|number| sessions.iter().any(|session| session.token == session_token(number))));
        assert!(sessions
            .iter()
            .all(|session| session.has_host && session.clients == 2 && !session.idle));
        assert!(sessions
            .iter()
            .all(|session| session.counters.to_clients.packets == 200));
        // Each session: three pings, a frame of each client, two hundred of its host.
        assert!(sessions
            .iter()
            .all(|session| session.counters.received.packets == 3 + 2 + 200));
        let load = relay.load(PATIENCE).unwrap();
        assert_eq!((load.bindings, load.statistics.totals), (18, statistics.totals));
    }
}

#[test]
fn bursts_keep_their_order_and_their_content() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        let host = Peer::new(&relay, Port::Server, 7, HOST);
        let alice = Peer::new(&relay, Port::Client, 7, A);
        assert_eq!((host.ping(), alice.ping()), (2, 2));
        for burst in 0..20_u8 {
            // Some alike, some not, so that runs begin and end.
            let payloads: Vec<_> = (0..60_u8)
                .map(|number| vec![number ^ burst; 40 + usize::from(number / 7 % 3)])
                .collect();
            payloads.iter().for_each(|payload| alice.send(payload));
            payloads
                .iter()
                .for_each(|payload| assert_eq!(host.hear_from(), (1, payload.clone())));
            payloads.iter().for_each(|payload| host.send_to(1, payload));
            payloads
                .iter()
                .for_each(|payload| assert_eq!(alice.hear_data(), *payload));
        }
    }
}

#[test]
fn rubbish_is_counted_and_harms_nobody() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        let alice = Peer::new(&relay, Port::Client, 7, A);
        let stranger = Peer::new(&relay, Port::Client, 7, 999);
        for length in [0, 1, 2, 8, 1201, 1500, 2047, 2048, 2049, 9000, 65_507] {
            alice.socket.send(&vec![1; length]).unwrap();
            assert_eq!(alice.ping(), 2, "after {length} bytes");
        }
        assert_eq!(stranger.ping(), 3);
        eventually("everything is counted", || {
            let totals = relay.statistics(PATIENCE).unwrap().totals;
            let (received, drops) = (totals.received, totals.drops);
            drops.of(DropReason::TooShort) == 4
                && drops.of(DropReason::TooLong) == 7
                && received.bytes == (1 + 2 + 8) + 7 * 1201 + 12 * 9
                && drops.of(DropReason::UnknownUser) == 1
        });
    }
}

#[test]
fn a_player_is_followed_to_a_new_address() {
    let relay = plain().start(&[7]);
    let host = Peer::new(&relay, Port::Server, 7, HOST);
    assert_eq!(host.ping(), 2);
    for _ in 0..5 {
        let alice = Peer::new(&relay, Port::Client, 7, A);
        alice.send(b"here");
        assert_eq!(host.hear_from(), (1, b"here".to_vec()));
        host.send_to(1, b"there");
        assert_eq!(alice.hear_data(), b"there");
    }
}

#[test]
fn a_peer_whose_port_is_closed_does_not_disturb_the_others() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        let host = Peer::new(&relay, Port::Server, 7, HOST);
        let bob = Peer::new(&relay, Port::Client, 7, B);
        assert_eq!(host.ping(), 2);
        let alice = Peer::new(&relay, Port::Client, 7, A);
        assert_eq!((alice.ping(), bob.ping()), (2, 2));
        drop(alice);
        for number in 0..50 {
            host.send_to(1, b"nobody");
            host.send_to(2, &[number]);
            assert_eq!(bob.hear_data(), [number]);
        }
    }
}
