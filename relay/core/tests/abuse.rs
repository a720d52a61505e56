//! Guessing, flooding, reflection: what strangers and insiders can do, and what it does to the others.

mod world;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use relay_core::Port::{Client, Server};
use relay_core::*;
use world::*;

const SECOND: Duration = Duration::from_secs(1);

fn player(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4((0x0a00_0000 + number).into()), 4000)
}

/// How many of `tries` wrong pings get an answer, and the reason that the last one was dropped for.
fn guess<A: Into<PeerAddress>>(
    world: &mut World,
    session: u32,
    from: impl Fn(u32) -> A,
    tries: u32,
) -> (usize, Option<DropReason>) {
    let answers = (0..tries).filter(|number| {
        world
            .send(Client, from(*number), &ping(session, 1_000 + number))
            .is_some()
    });
    let answers = answers.count();
    (answers, world.dropped())
}

#[test]
fn a_stranger_is_answered_twice_a_second_at_most() {
    let mut world = World::new();
    let mut answers = 0;
    for _ in 0..100 {
        answers += guess(&mut world, SESSION, |_| stranger(), 1).0;
        world.wait(SECOND / 100);
    }
    assert_eq!(answers, 2);
}

#[test]
fn strangers_together_are_answered_so_often_and_no_more() {
    let mut world = World::new();
    let answers: usize = (1..=1000)
        .map(|session| guess(&mut world, session, |_| player(session), 1).0)
        .sum();
    assert_eq!(answers, 200);
}

#[test]
fn silence_can_be_chosen() {
    let mut world = World::with(Settings {
        answer_strangers: false,
        ..Settings::default()
    });
    assert_eq!(world.ping(Client, stranger(), 99), None);
    assert_eq!(world.ping(Client, alice(), A), Some(2));
}

#[test]
fn unknown_sessions_and_unknown_users_look_alike() {
    let mut seen = Vec::new();
    for session in [SESSION, 1] {
        let mut world = World::new();
        let from_many = |number| player(number / 3);
        let outcome: Vec<_> = (0..300)
            .map(|number| world.send(Client, from_many(number), &ping(session, 1000 + number)))
            .collect();
        world.wait(SECOND);
        let later = guess(&mut world, session, from_many, 300).0;
        seen.push((outcome, later));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn one_address_that_guesses_is_muted_and_cannot_use_up_the_budget_of_the_session() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    let neighbour = SocketAddr::new(stranger().socket.ip(), 1);
    world.ping(Client, neighbour, A);
    let (_, reason) = guess(&mut world, SESSION, |_| stranger(), 1000);
    assert_eq!(reason, Some(DropReason::SourceMuted));
    // It may not even use a token that it got right, but whoever is established behind the same address plays on.
    assert_eq!(world.ping(Client, stranger(), B), None);
    assert!(world.send(Client, neighbour, &data(SESSION, A, b"x")).is_some());
    assert_eq!(world.ping(Client, bob(), B), Some(2));
    world.wait(5 * SECOND);
    assert_eq!(world.ping(Client, stranger(), B), Some(2));
}

#[test]
fn many_addresses_that_guess_use_up_the_budget_but_leave_players_alone() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.ping(Client, alice(), A);
    let (_, reason) = guess(&mut world, SESSION, player, 1000);
    assert_eq!(reason, Some(DropReason::SessionFailures));
    assert_eq!(
        world.ping(Client, bob(), B),
        None,
        "a right guess must look like a wrong one"
    );
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    assert!(world.send(Server, host(), &data_to(SESSION, HOST, 1, b"x")).is_some());
    world.apply(Change::Put(session(9, &[B]))).unwrap();
    assert!(
        world.send(Client, bob(), &ping(9, B)).is_some(),
        "other sessions are not concerned"
    );
    world.wait(SECOND);
    assert_eq!(world.ping(Client, bob(), B), Some(2));
}

#[test]
fn players_of_a_session_that_ended_do_not_count_as_guessing() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.ping(Client, alice(), A);
    world.apply(Change::Remove(session_token(SESSION))).unwrap();
    for _ in 0..1000 {
        world.send(Client, alice(), &data(SESSION, A, b"x"));
        world.wait(SECOND / 100);
    }
    world.apply(Change::Put(session(9, &[A]))).unwrap();
    let sent = world.send(Client, alice(), &ping(9, A)).expect("an answer");
    assert_eq!(sent.bytes, [1, 2]);
}

#[test]
fn a_flood_from_one_address_is_cut_off() {
    let mut settings = Settings::default();
    settings.limits.source_packets = Rate::new(100, 100);
    settings.limits.source_failures = Rate::UNLIMITED;
    settings.limits.session_failures = Rate::UNLIMITED;
    let mut world = World::with(settings);
    let (_, reason) = guess(&mut world, SESSION, |_| stranger(), 101);
    assert_eq!(reason, Some(DropReason::SourceRate));
}

#[test]
fn addresses_change_ten_times_a_second_at_most() {
    let mut world = World::new();
    let from = |number: u16| SocketAddr::new(alice().socket.ip(), number);
    assert_eq!(
        (1..=100)
            .filter(|port| world.ping(Client, from(*port), A).is_some())
            .count(),
        11
    );
    assert_eq!(world.dropped(), Some(DropReason::RebindRate));
    assert_eq!(
        world.ping(Client, from(11), A),
        Some(2),
        "the last good address still holds"
    );
    assert_eq!(
        (1..=100)
            .filter(|port| world.ping(Server, from(*port), HOST).is_some())
            .count(),
        11
    );
    assert_eq!(world.dropped(), Some(DropReason::RebindRate));
}

#[test]
fn traffic_is_capped_per_user_session_and_destination() {
    type Change = fn(&mut Limits);
    let ten = Rate::new(10, 10);
    assert_eq!(ten, Rate::new(10, 10));
    let cases: [(Change, bool, DropReason); 7] = [
        (
            |limits| limits.user_packets = Rate::new(10, 11),
            true,
            DropReason::UserRate,
        ),
        (
            |limits| limits.session_packets = Rate::new(10, 10),
            true,
            DropReason::SessionRate,
        ),
        (
            |limits| limits.session_bytes = Rate::new(60, 60),
            true,
            DropReason::SessionRate,
        ),
        (
            |limits| limits.host_packets = Rate::new(10, 10),
            true,
            DropReason::DestinationRate,
        ),
        (
            |limits| limits.host_bytes = Rate::new(60, 60),
            true,
            DropReason::DestinationRate,
        ),
        (
            |limits| limits.client_packets = Rate::new(10, 10),
            false,
            DropReason::DestinationRate,
        ),
        (
            |limits| limits.client_bytes = Rate::new(20, 20),
            false,
            DropReason::DestinationRate,
        ),
    ];
    for (change, to_host, reason) in cases {
        let mut settings = Settings::default();
        change(&mut settings.limits);
        let mut world = World::with(settings);
        world.ping(Server, host(), HOST);
        world.ping(Client, alice(), A);
        let (port, from, frame) = match to_host {
            true => (Client, alice(), data(SESSION, A, b"x")),
            false => (Server, host(), data_to(SESSION, HOST, 1, b"x")),
        };
        assert_eq!(
            (0..100).filter(|_| world.send(port, from, &frame).is_some()).count(),
            10,
            "{reason:?}"
        );
        assert_eq!(world.dropped(), Some(reason));
        assert_eq!(world.statistics().counters.drops.of(reason), 90);
        world.wait(SECOND);
        assert!(world.send(port, from, &frame).is_some());
    }
}

#[test]
fn a_source_that_cannot_be_answered_is_not_bound() {
    let mut world = World::new();
    assert_eq!(world.ping(Client, address("192.0.2.2:0"), A), None);
    assert_eq!(world.dropped(), Some(DropReason::UnanswerableSource));
    assert_eq!(world.statistics().clients, 0);
}
