//! What the control plane wants becomes true, whole or not at all, any number of times.

mod world;

use std::time::Duration;

use relay_core::Port::{Client, Server};
use relay_core::*;
use world::*;

fn small(sessions: usize, users: usize, users_per_session: usize) -> World {
    let mut settings = Settings::default();
    settings.capacity = Capacity {
        sessions,
        users,
        users_per_session,
        ..settings.capacity
    };
    let mut world = World::untold(settings);
    assert_eq!(world.replace(vec![]), []);
    world
}

#[test]
fn a_relay_that_was_told_nothing_says_that_it_is_checking_and_mutes_nobody() {
    let mut world = World::untold(Settings::default());
    assert_eq!(world.ping(Client, alice(), A), Some(1));
    for _ in 0..1000 {
        world.ping(Client, alice(), A);
    }
    world.apply(Change::Put(session(SESSION, &[A]))).unwrap();
    assert_eq!(
        world.ping(Client, alice(), A),
        Some(2),
        "what it was told is good at once"
    );
    world.wait(Duration::from_secs(1));
    assert_eq!(world.ping(Client, bob(), B), Some(1));
    world.replace(vec![session(SESSION, &[A])]);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.ping(Client, bob(), B), Some(3));
}

#[test]
fn putting_a_session_again_keeps_everybody_who_stays() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.ping(Client, alice(), A);
    world.ping(Client, bob(), B);
    for _ in 0..3 {
        world.apply(Change::Put(session(SESSION, &[HOST, B, 55]))).unwrap();
    }
    assert_eq!(
        world.pushes,
        [Push {
            to: alice(),
            via: Client,
            state: State::Invalid
        }]
    );
    assert_eq!(
        world.send(Server, host(), &data_to(SESSION, HOST, 2, b"x")).unwrap().to,
        bob()
    );
    assert_eq!(world.send(Server, host(), &data_to(SESSION, HOST, 1, b"x")), None);
    assert_eq!(world.ping(Client, alice(), A), Some(3));
    assert_eq!(world.relay.totals().users, 3);
}

#[test]
fn a_replacement_removes_what_is_not_wanted_and_leaves_the_rest_alone() {
    let mut world = World::new();
    world.replace((1..=50).map(|token| session(token, &[A, B])).collect());
    assert_eq!((world.relay.totals().sessions, world.relay.totals().users), (50, 100));
    world.send(Client, alice(), &ping(7, A));
    world.send(Client, bob(), &ping(8, B));
    for _ in 0..2 {
        world.replace((5..=7).map(|token| session(token, &[A, B])).collect());
        assert_eq!((world.relay.totals().sessions, world.relay.totals().users), (3, 6));
    }
    assert_eq!(
        world.pushes,
        [Push {
            to: bob(),
            via: Client,
            state: State::Invalid
        }]
    );
    world.send(Server, host(), &ping(7, B));
    assert_eq!(world.send(Server, host(), &data_to(7, B, 1, b"x")).unwrap().to, alice());
}

#[test]
fn removing_a_session_tells_everybody_in_every_role_once() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.ping(Client, address("192.0.2.1:1002"), HOST);
    world.ping(Client, bob(), B);
    world.wait(Duration::from_secs(29));
    world.ping(Server, host(), HOST);
    world.ping(Client, address("192.0.2.1:1002"), HOST);
    world.wait(Duration::from_secs(2));
    for _ in 0..2 {
        world.apply(Change::Remove(session_token(SESSION))).unwrap();
    }
    let told: Vec<_> = world
        .pushes
        .iter()
        .map(|push| (push.to, push.via, push.state))
        .collect();
    // Not Bob: he was silent for so long that his address may be somebody else's.
    assert_eq!(
        told,
        [
            (address("192.0.2.1:1002"), Client, State::Invalid),
            (host(), Server, State::Invalid)
        ]
    );
    assert_eq!((world.relay.totals().sessions, world.relay.totals().users), (0, 0));
    assert_eq!(world.ping(Server, host(), HOST), Some(3));
}

#[test]
fn revoking_the_host_looks_like_a_timeout_to_the_others() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.ping(Client, alice(), A);
    for _ in 0..2 {
        world
            .apply(Change::Revoke(session_token(SESSION), user_token(HOST)))
            .unwrap();
    }
    assert_eq!(
        world.pushes,
        [Push {
            to: host(),
            via: Server,
            state: State::Invalid
        }]
    );
    assert_eq!(world.ping(Server, host(), HOST), Some(3));
    assert_eq!(world.ping(Client, alice(), A), Some(4));
    assert_eq!(world.ping(Server, bob(), B), Some(2), "the place is free");
    assert_eq!(world.ping(Client, alice(), A), Some(2));
}

#[test]
fn an_authorized_user_is_good_at_once_and_gets_an_id_nobody_had() {
    let mut world = World::new();
    let session = session_token(SESSION);
    world.ping(Server, host(), HOST);
    world.ping(Client, alice(), A);
    world.apply(Change::Revoke(session, user_token(A))).unwrap();
    for _ in 0..2 {
        world.apply(Change::Authorize(session, user(A))).unwrap();
    }
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    assert_eq!(world.send(Server, host(), &data_to(SESSION, HOST, 1, b"x")), None);
    assert_eq!(
        world.send(Server, host(), &data_to(SESSION, HOST, 2, b"x")).unwrap().to,
        alice()
    );
    assert_eq!(
        world.apply(Change::Authorize(session_token(5), user(A))),
        Err(Refusal::UnknownSession)
    );
    assert_eq!(world.apply(Change::Revoke(session_token(5), user_token(A))), Ok(()));
}

#[test]
fn tables_are_bounded_and_a_refused_change_changes_nothing() {
    let mut world = small(2, 5, 3);
    assert_eq!(
        world.apply(Change::Put(session(1, &[1, 2, 3, 4]))),
        Err(Refusal::TooManyUsersInSession)
    );
    assert_eq!(world.relay.totals().sessions, 0);
    world.apply(Change::Put(session(1, &[1, 1, 2, 2, 3]))).unwrap();
    assert_eq!(
        world.apply(Change::Put(session(2, &[1, 2, 3]))),
        Err(Refusal::TooManyUsers)
    );
    assert_eq!((world.relay.totals().sessions, world.relay.totals().users), (1, 3));
    world.apply(Change::Put(session(2, &[1, 2]))).unwrap();
    assert_eq!(world.apply(Change::Put(session(3, &[]))), Err(Refusal::TooManySessions));
    assert_eq!(
        world.apply(Change::Authorize(session_token(2), user(3))),
        Err(Refusal::TooManyUsers)
    );
    assert_eq!(
        world.apply(Change::Authorize(session_token(1), user(4))),
        Err(Refusal::TooManyUsersInSession)
    );
    world.apply(Change::Authorize(session_token(1), user(3))).unwrap();
    // Those who leave make room for those who come with the same change.
    world.apply(Change::Put(session(1, &[7, 8, 9]))).unwrap();
    assert_eq!((world.relay.totals().sessions, world.relay.totals().users), (2, 5));
    let refused = world.replace(vec![session(1, &[1]), session(5, &[1]), session(6, &[1])]);
    assert_eq!(refused, [(session_token(6), Refusal::TooManySessions)]);
}

#[test]
fn counters_say_what_happened() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    world.ping(Client, alice(), A);
    world.send(Client, alice(), &data(SESSION, A, &[0; 100]));
    world.send(Server, host(), &data_to(SESSION, HOST, 1, &[0; 50]));
    world.send(Server, host(), &data_to(SESSION, HOST, 9, &[0; 50]));
    world.ping(Client, stranger(), 99);
    world.wait(Duration::from_secs(3));
    let seen = world.statistics();
    assert_eq!(seen.counters.to_host, Traffic { packets: 1, bytes: 105 });
    assert_eq!(seen.counters.to_clients, Traffic { packets: 1, bytes: 51 });
    assert_eq!(seen.counters.pings, 2);
    assert_eq!(seen.counters.drops.of(DropReason::UnknownConnection), 1);
    assert_eq!(seen.counters.drops.of(DropReason::UnknownUser), 1);
    assert_eq!(seen.counters.drops.total(), 2);
    assert_eq!(
        (seen.users, seen.clients, seen.has_host, seen.idle),
        (3, 1, true, false)
    );
    assert_eq!(
        (seen.age, seen.silent_for),
        (Duration::from_secs(3), Some(Duration::from_secs(3)))
    );
    let totals = world.relay.totals();
    assert_eq!(totals.received.packets, 6);
    assert_eq!(
        (totals.to_hosts, totals.to_clients),
        (seen.counters.to_host, seen.counters.to_clients)
    );
    assert_eq!(
        (totals.states.of(State::Valid), totals.states.of(State::Invalid)),
        (2, 1)
    );
    assert_eq!(totals.drops, seen.counters.drops);
    let mut all = Vec::new();
    assert_eq!(
        world.relay.session_statistics(0, 10, world.now, |each| all.push(each)),
        None
    );
    assert_eq!(all, [seen]);
}

#[test]
fn whatever_names_a_session_counts_as_received_in_it_and_nothing_else() {
    let mut world = World::new();
    let received = |world: &World| world.statistics().counters.received;
    world.send(Client, alice(), &data(SESSION, A, b"nobody hosts"));
    world.send(Client, stranger(), &ping(SESSION, 99));
    world.send(Client, stranger(), &data(SESSION, 99, b"unknown"));
    assert_eq!(
        received(&world),
        Traffic {
            packets: 3,
            bytes: 21 + 9 + 16
        }
    );
    // What cannot be read names nobody, nor does what cannot be answered.
    world.send(Client, alice(), &data(SESSION, A, &[1; 1192]));
    world.send(Client, alice(), &data(SESSION, A, b"")[..8]);
    world.send(Client, alice(), &[&ping(SESSION, A)[..8], &[7]].concat());
    world.send(Client, address("192.0.2.2:0"), &ping(SESSION, A));
    world.send(Client, alice(), &ping(SESSION + 1, A));
    assert_eq!(received(&world), Traffic { packets: 3, bytes: 46 });
    assert_eq!(
        world.relay.totals().received,
        Traffic {
            packets: 8,
            bytes: 46 + 1201 + 8 + 9 + 9 + 9
        }
    );
    world.relay.count_unjudged(DropReason::ForeignWorker, 100);
    let totals = world.relay.totals();
    assert_eq!(
        (
            totals.received.packets,
            totals.received.bytes,
            totals.drops.of(DropReason::ForeignWorker)
        ),
        (9, 1382, 1)
    );
}

#[test]
fn bindings_are_hosts_and_clients_who_have_spoken_lately() {
    let mut world = World::untold(Settings::default());
    world.replace((1..=5).map(|token| session(token, &[HOST, A, B])).collect());
    let count = |world: &World| {
        let (mut bound, mut cursor) = (0, Some(0));
        while let Some(from) = cursor {
            let (part, next) = world.relay.bindings(from, 2, world.now);
            bound += part;
            cursor = next;
        }
        bound
    };
    assert_eq!(count(&world), 0);
    for token in 1..=5 {
        world.send(Server, host(), &ping(token, HOST));
        world.send(Client, alice(), &ping(token, A));
    }
    // One user may be both.
    world.send(Client, host(), &ping(1, HOST));
    assert_eq!(count(&world), 11);
    world.wait(Duration::from_secs(20));
    world.send(Client, alice(), &ping(1, A));
    world.wait(Duration::from_secs(20));
    assert_eq!(count(&world), 1);
}
