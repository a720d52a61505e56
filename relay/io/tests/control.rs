//! What the control side asks of a relay at work.

mod loopback;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use loopback::*;
use relay_core::{Change, Port, Refusal};
use relay_io::{bind, ControlError, Listen, Refused, StartError};

#[test]
fn a_change_holds_when_the_call_returns() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        for round in 0..20 {
            let alice = Peer::new(&relay, Port::Client, 7, 1000 + round);
            let token = user_token(1000 + round);
            assert_eq!(
                relay.apply(vec![Change::Authorize(session_token(7), user(1000 + round))], PATIENCE),
                Ok(vec![])
            );
            assert_eq!(alice.ping(), 2);
            assert_eq!(
                relay.apply(vec![Change::Revoke(session_token(7), token)], PATIENCE),
                Ok(vec![])
            );
            assert_eq!(alice.state(), 3, "pushed");
        }
    }
}

#[test]
fn a_relay_that_was_told_nothing_says_checking_and_a_replacement_ends_that() {
    for mut kind in every_kind() {
        kind.settings.relay.limits.answer_interval = std::time::Duration::ZERO;
        let relay = kind.start_untold(bind(&kind.listen).unwrap());
        let alice = Peer::new(&relay, Port::Client, 7, A);
        assert_eq!(alice.ping(), 1);
        relay.replace(vec![], PATIENCE).unwrap();
        assert_eq!(alice.ping(), 3);
        relay.replace(vec![session(7)], PATIENCE).unwrap();
        assert_eq!(alice.ping(), 2);
        relay.replace(vec![session(8)], PATIENCE).unwrap();
        assert_eq!((alice.state(), alice.ping()), (3, 3));
        assert!(relay.session(session_token(8), PATIENCE).unwrap().is_some());
        assert_eq!(relay.session(session_token(7), PATIENCE).unwrap(), None);
    }
}

#[test]
fn refusals_come_back_with_their_sessions() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        let changes = (1..=9)
            .map(|token| Change::Authorize(session_token(token), user(5)))
            .collect();
        let mut refused = relay.apply(changes, PATIENCE).unwrap();
        refused.sort_by_key(|refused| refused.session);
        let mut expected: Vec<_> = [1, 2, 3, 4, 5, 6, 8, 9]
            .map(|token| Refused {
                session: session_token(token),
                refusal: Refusal::UnknownSession,
            })
            .to_vec();
        expected.sort_by_key(|refused| refused.session);
        assert_eq!(refused, expected);
    }
}

#[test]
fn play_goes_on_while_thousands_of_sessions_come_and_go() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        let host = Peer::new(&relay, Port::Server, 7, HOST);
        let alice = Peer::new(&relay, Port::Client, 7, A);
        assert_eq!((host.ping(), alice.ping()), (2, 2));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=3 {
                    let others = (0..2000).map(|number| session(round * 10_000 + number));
                    relay.replace(others.chain([session(7)]).collect(), PATIENCE).unwrap();
                    assert_eq!(relay.sessions(PATIENCE).unwrap().len(), 2001);
                    assert_eq!(relay.idle_sessions(PATIENCE), Ok(vec![]));
                    relay
                        .apply(
                            (0..2000)
                                .map(|number| Change::Remove(session_token(round * 10_000 + number)))
                                .collect(),
                            PATIENCE,
                        )
                        .unwrap();
                    assert_eq!(relay.statistics(PATIENCE).unwrap().totals.sessions, 1);
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                alice.send(b"ping");
                assert_eq!(host.hear_from(), (1, b"ping".to_vec()));
                host.send_to(1, b"pong");
                assert_eq!(alice.hear_data(), b"pong");
            }
        });
    }
}

#[test]
fn many_ask_at_once() {
    for kind in every_kind() {
        let relay = kind.start(&[]);
        thread::scope(|scope| {
            for caller in 1..=8 {
                let relay = &relay;
                scope.spawn(move || {
                    for number in 0..50 {
                        let token = caller * 1000 + number;
                        relay.apply(vec![Change::Put(session(token))], PATIENCE).unwrap();
                        assert!(relay.session(session_token(token), PATIENCE).unwrap().is_some());
                        relay
                            .apply(vec![Change::Remove(session_token(token))], PATIENCE)
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(relay.statistics(PATIENCE).unwrap().totals.sessions, 0);
    }
}

#[test]
fn a_draining_relay_says_so() {
    let relay = plain().start(&[7]);
    let alice = Peer::new(&relay, Port::Client, 7, A);
    relay.set_draining(true, PATIENCE).unwrap();
    assert_eq!(alice.ping(), 5);
    relay.set_draining(false, PATIENCE).unwrap();
    assert_eq!(alice.ping(), 2);
}

#[test]
fn stopping_closes_the_ports_and_says_so_to_whoever_asks() {
    // Where no other test looks for a free port, if the system has more loopback addresses than one.
    let quiet = if cfg!(target_os = "linux") {
        "127.0.0.77"
    } else {
        "127.0.0.1"
    }
    .parse()
    .unwrap();
    for mut kind in every_kind() {
        kind.listen.address = quiet;
        let relay = kind.start(&[7]);
        let addresses = Port::ALL.map(|port| relay.address(port));
        relay.stop();
        relay.stop();
        assert_eq!(relay.statistics(PATIENCE), Err(ControlError::Ended));
        for address in addresses {
            eventually("the port is free", || UdpSocket::bind(address).is_ok());
        }
    }
}

#[test]
fn a_relay_may_be_stopped_while_others_ask() {
    for kind in every_kind() {
        let relay = kind.start(&[]);
        thread::scope(|scope| {
            for caller in 0..4 {
                let relay = &relay;
                scope.spawn(move || {
                    let many = || (1..2000).map(|number| session(caller * 10_000 + number)).collect();
                    let end = std::iter::repeat_with(|| relay.replace(many(), PATIENCE)).find(Result::is_err);
                    assert_eq!(end, Some(Err(ControlError::Ended)));
                });
            }
            relay.replace(vec![session(7)], PATIENCE).unwrap();
            relay.stop();
        });
    }
}

#[test]
fn a_relay_that_never_sleeps_works_and_stops() {
    let mut kind = plain();
    kind.settings.spin = std::time::Duration::MAX;
    let relay = kind.start(&[7]);
    let alice = Peer::new(&relay, Port::Client, 7, A);
    assert_eq!(alice.ping(), 2);
    relay.stop();
}

#[test]
fn a_taken_port_is_named() {
    let first = plain().start(&[]);
    let taken = first.address(Port::Client);
    let again = Listen {
        client_port: taken.port(),
        ..plain().listen
    };
    match bind(&again) {
        Err(StartError::Bind { address, .. }) => assert_eq!(address, taken),
        other => panic!("{other:?}"),
    }
    let nobody = Listen {
        workers: 0,
        ..plain().listen
    };
    assert!(matches!(bind(&nobody), Err(StartError::Workers(0))));
}

#[test]
fn the_buffers_that_there_are_can_be_read() {
    let relay = plain().start(&[]);
    assert_eq!(relay.sockets().len(), 2);
    assert!(relay
        .sockets()
        .iter()
        .all(|socket| socket.receive_buffer > 1000 && socket.send_buffer > 1000));
}
