//! Relays on sockets that are bound to every address: peers take answers from the one that they dialled only.

#![cfg(all(target_os = "linux", not(feature = "portable")))]

mod loopback;

use std::net::SocketAddr;

use loopback::*;
use relay_core::{Change, Port};
use relay_io::{Listen, RunningRelay};

fn at(ip: &str, relay: &RunningRelay, port: Port) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), relay.address(port).port())
}

fn every_kind_on(address: &str) -> Vec<Kind> {
    let on = |mut kind: Kind| {
        kind.listen = Listen {
            workers: kind.listen.workers,
            ..Listen::on(address.parse().unwrap())
        };
        kind
    };
    every_kind().into_iter().map(on).collect()
}

/// A game between a host and two clients, each of whom has dialled one of these addresses.
fn play(relay: &RunningRelay, session: u32, [host, alice, bob]: [&str; 3]) {
    let host = Peer::at(at(host, relay, Port::Server), session, HOST);
    let alice = Peer::at(at(alice, relay, Port::Client), session, A);
    let bob = Peer::at(at(bob, relay, Port::Client), session, B);
    assert_eq!((host.ping(), alice.ping(), bob.ping()), (2, 2, 2));
    for round in 0..5_u8 {
        // At once and alike, so that they leave in runs; those to two addresses must not share one.
        let payloads: Vec<_> = (0..40_u8).map(|number| vec![number ^ round; 60]).collect();
        for (connection, peer) in [(1, &alice), (2, &bob)] {
            payloads.iter().for_each(|payload| peer.send(payload));
            payloads
                .iter()
                .for_each(|payload| assert_eq!(host.hear_from(), (connection, payload.clone())));
        }
        payloads.iter().for_each(|payload| {
            host.send_to(1, payload);
            host.send_to(2, payload);
        });
        for peer in [&alice, &bob] {
            payloads
                .iter()
                .for_each(|payload| assert_eq!(peer.hear_data(), *payload));
        }
    }
    relay
        .apply(vec![Change::Remove(session_token(session))], PATIENCE)
        .unwrap();
    assert_eq!((host.state(), alice.state(), bob.state()), (3, 3, 3), "pushed");
}

#[test]
fn peers_are_answered_from_the_ipv4_address_that_they_dialled() {
    for kind in every_kind_on("0.0.0.0") {
        let relay = kind.start(&[1, 2, 3, 4]);
        for session in 1..=4 {
            play(&relay, session, ["127.0.0.2", "127.0.0.3", "127.0.0.1"]);
        }
        assert_eq!(relay.statistics(PATIENCE).unwrap().totals.drops.total(), 0);
    }
}

#[test]
fn peers_are_answered_from_the_address_that_they_dialled_in_either_family() {
    if !has_ipv6() {
        return;
    }
    for kind in every_kind_on("::") {
        let relay = kind.start(&[1, 2, 3, 4]);
        for session in 1..=4 {
            play(&relay, session, ["::1", "127.0.0.3", "127.0.0.2"]);
        }
        assert_eq!(relay.statistics(PATIENCE).unwrap().totals.drops.total(), 0);
    }
}

#[test]
fn a_peer_may_dial_another_address_from_one_day_to_the_next() {
    let kind = every_kind_on("0.0.0.0").remove(0);
    let relay = kind.start(&[7]);
    let host = Peer::at(at("127.0.0.1", &relay, Port::Server), 7, HOST);
    let alice = Peer::at(at("127.0.0.2", &relay, Port::Client), 7, A);
    assert_eq!((host.ping(), alice.ping()), (2, 2));
    for ip in ["127.0.0.3", "127.0.0.2", "127.0.0.4"] {
        alice.socket.connect(at(ip, &relay, Port::Client)).unwrap();
        alice.send(b"here");
        assert_eq!(host.hear_from(), (1, b"here".to_vec()));
        host.send_to(1, b"there");
        assert_eq!(alice.hear_data(), b"there");
    }
}
