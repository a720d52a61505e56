//! Who is who: addresses, connection ids, hosts, timeouts.

mod world;

use std::time::Duration;

use relay_core::Port::{Client, Server};
use relay_core::*;
use world::*;

const SECOND: Duration = Duration::from_secs(1);

fn connection_of(world: &mut World, from: &str, user: u32) -> Option<u32> {
    let sent = world.send(Client, address(from), &data(SESSION, user, b"x"))?;
    Some(u32::from_le_bytes(sent.bytes[1..5].try_into().unwrap()))
}

#[test]
fn a_connection_id_survives_any_change_of_address() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    for change in 0..29_u8 {
        let from = format!("192.0.{change}.2:{}", 2000 + u16::from(change));
        assert_eq!(connection_of(&mut world, &from, A), Some(1));
        let sent = world.send(Server, host(), &data_to(SESSION, HOST, 1, b"y")).unwrap();
        assert_eq!(sent.to, address(&from));
        world.wait(SECOND);
    }
}

#[test]
fn a_client_that_was_silent_gets_a_fresh_id_only_at_a_new_address() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    assert_eq!(connection_of(&mut world, "192.0.2.2:1", A), Some(1));
    world.wait(30 * SECOND);
    world.ping(Server, host(), HOST);
    assert_eq!(connection_of(&mut world, "192.0.2.2:1", A), Some(1));
    world.wait(30 * SECOND - Duration::from_nanos(1));
    world.ping(Server, host(), HOST);
    assert_eq!(connection_of(&mut world, "192.0.2.2:2", A), Some(1));
    world.wait(30 * SECOND);
    world.ping(Server, host(), HOST);
    assert_eq!(connection_of(&mut world, "192.0.2.2:3", A), Some(2));
    world.send(Server, host(), &data_to(SESSION, HOST, 1, b"y"));
    assert_eq!(world.dropped(), Some(DropReason::UnknownConnection));
}

#[test]
fn fresh_ids_are_rationed() {
    let mut settings = Settings {
        client_idle_timeout: SECOND,
        ..Settings::default()
    };
    settings.limits.fresh_connection_interval = 30 * SECOND;
    let mut world = World::with(settings);
    world.ping(Server, host(), HOST);
    let ids: Vec<_> = (0..60)
        .map(|step| {
            world.wait(SECOND);
            world.ping(Server, host(), HOST);
            connection_of(&mut world, &format!("192.0.2.2:{}", 2000 + step), A).unwrap()
        })
        .collect();
    assert_eq!((ids[0], ids[29], ids[30], ids[59]), (1, 1, 2, 2));
}

#[test]
fn an_idle_client_is_sent_nothing_until_it_speaks() {
    let mut world = World::new();
    world.ping(Client, alice(), A);
    world.wait(30 * SECOND);
    world.ping(Server, host(), HOST);
    assert_eq!(world.send(Server, host(), &data_to(SESSION, HOST, 1, b"y")), None);
    assert_eq!(world.dropped(), Some(DropReason::ClientIdle));
    world.ping(Client, alice(), A);
    assert!(world.send(Server, host(), &data_to(SESSION, HOST, 1, b"y")).is_some());
}

#[test]
fn empty_data_keeps_a_client_and_a_host_alive() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    for _ in 0..4 {
        world.wait(20 * SECOND);
        for (port, from, user) in [(Server, host(), HOST), (Client, alice(), A)] {
            assert_eq!(world.send(port, from, &data(SESSION, user, b"")), None);
            assert_eq!(world.dropped(), Some(DropReason::EmptyPayload));
        }
    }
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    assert!(world.send(Server, host(), &data_to(SESSION, HOST, 1, b"y")).is_some());
}

#[test]
fn a_returning_host_makes_the_session_valid_again_and_keeps_ids() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    assert_eq!(connection_of(&mut world, "192.0.2.2:2000", A), Some(1));
    world.wait(31 * SECOND);
    assert_eq!(world.ping(Client, alice(), A), Some(4));
    assert_eq!(world.ping(Server, address("192.0.2.1:1001"), HOST), Some(2));
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    let sent = world.send(Client, alice(), &data(SESSION, A, b"x")).unwrap();
    assert_eq!((sent.to, sent.bytes[1]), (address("192.0.2.1:1001"), 1));
}

#[test]
fn data_for_a_host_that_timed_out_is_answered_twice_a_second_at_most() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.ping(Client, alice(), A);
    world.wait(31 * SECOND);
    let mut answers = 0;
    for _ in 0..100 {
        if let Some(sent) = world.send(Client, alice(), &data(SESSION, A, b"x")) {
            assert_eq!((sent.to, sent.bytes), (alice(), vec![1, 4]));
            answers += 1;
        }
        assert_eq!(world.dropped(), Some(DropReason::HostTimedOut));
        world.wait(Duration::from_millis(10));
    }
    assert_eq!(answers, 2);
}

#[test]
fn data_is_silently_dropped_before_there_ever_was_a_host() {
    let mut world = World::new();
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    assert_eq!(world.send(Client, alice(), &data(SESSION, A, b"x")), None);
    assert_eq!(world.dropped(), Some(DropReason::NoHost));
}

#[test]
fn the_first_on_the_server_port_owns_the_session_until_it_times_out() {
    let mut world = World::new();
    assert_eq!(world.ping(Server, host(), HOST), Some(2));
    world.ping(Client, alice(), A);
    assert_eq!(world.ping(Server, bob(), B), Some(3));
    assert_eq!(
        world.send(Server, bob(), &data_to(SESSION, B, 1, b"x")),
        Some(Sent {
            to: bob(),
            via: Server,
            bytes: vec![1, 3]
        })
    );
    assert_eq!(world.send(Server, bob(), &data_to(SESSION, B, 1, b"x")), None);
    assert_eq!(world.dropped(), Some(DropReason::RoleRefused));
    world.wait(31 * SECOND);
    assert_eq!(world.ping(Server, bob(), B), Some(2));
    assert_eq!(world.ping(Server, host(), HOST), Some(3));
    world.ping(Client, alice(), A);
    assert_eq!(
        world.send(Server, bob(), &data_to(SESSION, B, 1, b"x")).unwrap().to,
        alice()
    );
}

#[test]
fn only_the_named_host_may_own() {
    let mut world = World::new();
    assert_eq!(world.ping(Server, bob(), B), Some(2));
    let named = WantedSession {
        host: Some(user_token(HOST)),
        ..session(SESSION, &[HOST, A, B])
    };
    world.apply(Change::Put(named)).unwrap();
    assert_eq!(world.ping(Client, alice(), A), Some(4));
    assert_eq!(world.ping(Server, bob(), B), Some(3));
    assert_eq!(world.ping(Server, host(), HOST), Some(2));
    assert_eq!(world.ping(Client, alice(), A), Some(2));
}

#[test]
fn one_token_may_host_and_play() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    let player = address("192.0.2.1:1002");
    assert_eq!(
        world.send(Client, player, &data(SESSION, HOST, b"x")).unwrap().to,
        host()
    );
    assert_eq!(
        world.send(Server, host(), &data_to(SESSION, HOST, 1, b"y")).unwrap().to,
        player
    );
}

#[test]
fn the_host_reaches_nobody_in_another_session() {
    let mut world = World::new();
    world.apply(Change::Put(session(9, &[HOST, A, B, 77]))).unwrap();
    world.ping(Server, host(), HOST);
    world.send(Client, alice(), &ping(9, A));
    world.send(Client, bob(), &ping(9, B));
    for connection in 1..=2 {
        assert_eq!(
            world.send(Server, host(), &data_to(SESSION, HOST, connection, b"x")),
            None
        );
        assert_eq!(world.dropped(), Some(DropReason::UnknownConnection));
    }
    world.ping(Client, stranger(), A);
    assert_eq!(
        world.send(Server, host(), &data_to(SESSION, HOST, 1, b"x")).unwrap().to,
        stranger()
    );
}

#[test]
fn a_source_ip_is_enforced_only_where_asked_for() {
    for enforce_source_ip in [false, true] {
        let mut world = World::with(Settings {
            enforce_source_ip,
            ..Settings::default()
        });
        let registered = WantedUser {
            ip: Some("::ffff:192.0.2.2".parse().unwrap()),
            ..user(A)
        };
        world
            .apply(Change::Authorize(session_token(SESSION), registered))
            .unwrap();
        let expected = if enforce_source_ip { Some(3) } else { Some(2) };
        assert_eq!(world.ping(Client, stranger(), A), expected);
        assert_eq!(world.ping(Client, alice(), A), Some(2));
        assert_eq!(world.ping(Client, bob(), B), Some(2));
    }
}

#[test]
fn sessions_that_nobody_uses_are_reported() {
    let mut world = World::new();
    world.apply(Change::Put(session(9, &[A]))).unwrap();
    let idle = |world: &World| {
        let mut idle = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            cursor = world
                .relay
                .idle_sessions(from, 1, world.now, |token| idle.push(token.get()));
        }
        idle
    };
    world.ping(Client, alice(), A);
    world.wait(600 * SECOND - Duration::from_nanos(1));
    assert_eq!(idle(&world), []);
    world.wait(Duration::from_nanos(1));
    assert_eq!(idle(&world), [SESSION]);
    world.ping(Client, alice(), A);
    assert_eq!(idle(&world), []);
    world.wait(1200 * SECOND);
    assert_eq!(idle(&world), [SESSION, 9]);
}

#[test]
fn a_draining_relay_says_so_and_still_forwards() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.relay.set_draining(true);
    assert_eq!(world.ping(Client, alice(), A), Some(5));
    assert_eq!(world.ping(Server, host(), HOST), Some(5));
    assert!(world.send(Client, alice(), &data(SESSION, A, b"x")).is_some());
}

/// A peer, and which of the relay's own addresses it speaks to.
fn dialling(peer: PeerAddress, own: &str) -> PeerAddress {
    PeerAddress {
        dialled: Some(OwnAddress {
            ip: own.parse().unwrap(),
            interface: 0,
        }),
        ..peer
    }
}

#[test]
fn peers_are_answered_from_the_address_that_they_spoke_to_last() {
    let mut world = World::new();
    let (host, before, after) = (
        dialling(host(), "198.51.100.1"),
        dialling(alice(), "198.51.100.1"),
        dialling(alice(), "198.51.100.2"),
    );
    world.ping(Server, host, HOST);
    for alice in [before, after] {
        let sent = world.send(Client, alice, &data(SESSION, A, b"x")).unwrap();
        assert_eq!((sent.to, &sent.bytes[1..5]), (host, &[1, 0, 0, 0][..]));
        let sent = world.send(Server, host, &data_to(SESSION, HOST, 1, b"x")).unwrap();
        assert_eq!(sent.to, alice);
    }
    world
        .apply(Change::Revoke(session_token(SESSION), user_token(A)))
        .unwrap();
    assert_eq!(world.pushes[0].to, after);
}

#[test]
fn dialling_another_address_counts_as_a_change_of_address() {
    let mut settings = Settings::default();
    settings.limits.rebinds = Rate::new(1, 1);
    let mut world = World::with(settings);
    let own = |number: u8| dialling(alice(), &format!("198.51.100.{number}"));
    assert_eq!(world.ping(Client, own(1), A), Some(2));
    assert_eq!(world.ping(Client, own(2), A), Some(2));
    assert_eq!(world.ping(Client, own(1), A), None);
    assert_eq!(world.dropped(), Some(DropReason::RebindRate));
    assert_eq!(world.ping(Client, own(2), A), Some(2));
}

#[test]
fn the_end_of_time_is_survived() {
    let mut settings = Settings {
        owner_timeout: Duration::MAX,
        client_idle_timeout: Duration::MAX,
        session_idle_timeout: Duration::MAX,
        ..Settings::default()
    };
    settings.limits.mute = Duration::MAX;
    settings.limits.answer_interval = Duration::MAX;
    settings.limits.host_bytes = Rate::new(1, u32::MAX);
    let mut world = World::with(settings);
    for now in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX, u64::MAX] {
        world.now = Moment::from_nanos(now);
        assert_eq!(world.ping(Server, host(), HOST), Some(2));
        assert_eq!(world.ping(Client, alice(), A), Some(2));
        assert!(world.send(Client, alice(), &data(SESSION, A, b"x")).is_some());
        assert!(world.send(Server, host(), &data_to(SESSION, HOST, 1, b"x")).is_some());
        for guess in 1..200 {
            world.send(Client, stranger(), &ping(SESSION, 1000 + guess));
        }
    }
    assert!(!world.statistics().idle);
}
