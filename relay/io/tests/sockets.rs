//! Relays on sockets that somebody else has bound.

mod loopback;

use std::net::{SocketAddr, UdpSocket};

use loopback::*;
use relay_core::Port;
use relay_io::{bind, Listen, RunningRelay, StartError, WorkerSockets};

/// Both loopback addresses on the same ports, for each worker: what a node binds that is at `::1`.
fn both_loopbacks(workers: usize) -> Vec<WorkerSockets> {
    // The port of the first family may be taken in the other one.
    for _ in 0..100 {
        let six = bind(&Listen {
            workers,
            ..Listen::on("::1".parse().unwrap())
        });
        let mut all = six.unwrap();
        let port = |sockets: &[UdpSocket]| sockets[0].local_addr().unwrap().port();
        let four = bind(&Listen {
            server_port: port(&all[0].server),
            client_port: port(&all[0].client),
            workers,
            ..plain().listen
        });
        if let Ok(four) = four {
            for (both, four) in all.iter_mut().zip(four) {
                both.server.extend(four.server);
                both.client.extend(four.client);
            }
            return all;
        }
    }
    panic!("no port is free on both loopback addresses");
}

fn at(ip: &str, relay: &RunningRelay, port: Port) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), relay.address(port).port())
}

#[test]
fn players_of_both_families_meet_where_each_has_a_socket() {
    if !has_ipv6() {
        return;
    }
    for kind in every_kind() {
        let relay = kind.start_on(both_loopbacks(kind.listen.workers), &[1, 2, 3, 4, 5]);
        assert_eq!(relay.sockets().len(), 4 * kind.listen.workers);
        for session in 1..=5 {
            let host = Peer::at(at("::1", &relay, Port::Server), session, HOST);
            let alice = Peer::at(at("127.0.0.1", &relay, Port::Client), session, A);
            let bob = Peer::at(at("::1", &relay, Port::Client), session, B);
            assert_eq!((host.ping(), alice.ping(), bob.ping()), (2, 2, 2));
            for (connection, peer) in [(1, &alice), (2, &bob)] {
                peer.send(b"hello");
                assert_eq!(host.hear_from(), (connection, b"hello".to_vec()));
                host.send_to(connection, b"welcome");
                assert_eq!(peer.hear_data(), b"welcome");
            }
            relay
                .apply(vec![relay_core::Change::Remove(session_token(session))], PATIENCE)
                .unwrap();
            assert_eq!((host.state(), alice.state(), bob.state()), (3, 3, 3));
        }
        let drops = relay.statistics(PATIENCE).unwrap().totals.drops;
        assert_eq!(drops.total(), 0);
    }
}

#[test]
fn sockets_that_do_not_fit_are_refused_with_the_reason() {
    let one = || bind(&plain().listen).unwrap().remove(0);
    let any = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let start = |sockets| RunningRelay::start(sockets, &plain().settings, 42).map(|_| ());
    let refused = |sockets| match start(sockets) {
        Err(StartError::Sockets(problem)) => problem,
        other => panic!("{other:?}"),
    };
    assert!(matches!(start(vec![]), Err(StartError::Workers(0))));
    assert_eq!(refused(vec![WorkerSockets::default()]), "a port has none");
    let mut two = one();
    two.client.push(any());
    assert_eq!(refused(vec![two]), "a port has two of one family");
    let mut stream = one();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    stream.server[0] = socket2::Socket::from(listener).into();
    assert_eq!(refused(vec![stream]), "one is not for datagrams");
    let mut unbound = one();
    unbound.server[0] = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)
        .unwrap()
        .into();
    assert_eq!(refused(vec![unbound]), "one is not bound");
}

#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[test]
fn workers_that_do_not_share_their_addresses_are_refused_with_the_reason() {
    let workers = |number| {
        bind(&Listen {
            workers: number,
            ..plain().listen
        })
        .unwrap()
    };
    let refused = |sockets| match RunningRelay::start(sockets, &plain().settings, 42).map(|_| ()) {
        Err(StartError::Sockets(problem)) => problem,
        other => panic!("{other:?}"),
    };
    let apart = workers(2).into_iter().take(1).chain(workers(2).into_iter().take(1));
    assert_eq!(
        refused(apart.collect()),
        "those of two workers differ in address, or in order"
    );
    let alone = workers(1).into_iter().chain(workers(1));
    assert_eq!(
        refused(alone.collect()),
        "several workers share a port, and SO_REUSEPORT is not set"
    );
}
