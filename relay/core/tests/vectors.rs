//! The 29 test vectors of the wire contract, each on a relay of its own: the host is bound, and A has id 1.

mod world;

use std::time::Duration;

use relay_core::Port::{self, Client, Server};
use relay_core::{Change, PeerAddress, Push, State};
use world::*;

const HOST_PING: &str = "1e7c4f014dc2a6d001";
const A_PING: &str = "ffffffff4dc2a6d001";
const A_HELLO: &str = "ffffffff4dc2a6d00268656c6c6f";
const A_HELLO_AT_HOST: &str = "020100000068656c6c6f";
const B_FIRST: &str = "070000004dc2a6d002ff";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn example() -> World {
    let mut world = World::new();
    assert_eq!(world.ping(Server, host(), HOST), Some(2));
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    world
}

/// Passes `question` in; `answer` is the port it leaves from, who gets it, and its bytes.
fn expect(
    world: &mut World,
    port: Port,
    from: PeerAddress,
    question: &[u8],
    answer: Option<(Port, PeerAddress, &str)>,
) {
    let sent = world.send(port, from, question);
    let expected = answer.map(|(via, to, bytes)| Sent {
        to,
        via,
        bytes: hex(bytes),
    });
    assert_eq!(sent, expected, "for {question:02x?}");
}

#[test]
fn vectors_that_need_no_preparation() {
    let (host, alice, bob, stranger) = (host(), alice(), bob(), stranger());
    let first_of_kcp = "ffffffff4dc2a6d002010000000000000000510000108b00000000000000000000000100000001";
    let at_host = "0201000000010000000000000000510000108b00000000000000000000000100000001";
    let table = [
        ("1, 2", Server, host, HOST_PING, Some((Server, host, "0102"))),
        ("3, 4", Client, alice, A_PING, Some((Client, alice, "0102"))),
        ("5, 6", Client, alice, A_HELLO, Some((Server, host, A_HELLO_AT_HOST))),
        (
            "7, 8",
            Server,
            host,
            "1e7c4f014dc2a6d0020100000068656c6c6f",
            Some((Client, alice, "0268656c6c6f")),
        ),
        ("9", Client, alice, first_of_kcp, Some((Server, host, at_host))),
        ("10", Client, bob, B_FIRST, Some((Server, host, "0202000000ff"))),
        ("11", Server, host, "1e7c4f014dc2a6d002630000006869", None),
        ("12", Server, host, "1e7c4f014dc2a6d002fbffffff6869", None),
        ("13", Client, bob, "070000004dc2a6d003", None),
        ("14", Client, bob, "070000004dc2a6d000", None),
        ("15", Client, bob, "070000004dc2a6d0", None),
        ("16", Client, bob, "070000004dc2a6d002", None),
        ("17", Server, host, "1e7c4f014dc2a6d00201000000", None),
        (
            "18",
            Client,
            stranger,
            "630000004dc2a6d001",
            Some((Client, stranger, "0103")),
        ),
        (
            "19",
            Client,
            stranger,
            "070000000100000001",
            Some((Client, stranger, "0103")),
        ),
        (
            "20",
            Client,
            stranger,
            "4dc2a6d01e7c4f0101",
            Some((Client, stranger, "0103")),
        ),
        (
            "21",
            Client,
            stranger,
            "00000007d0a6c24d01",
            Some((Client, stranger, "0103")),
        ),
        (
            "22",
            Client,
            stranger,
            "630000004dc2a6d002aa",
            Some((Client, stranger, "0103")),
        ),
        ("23", Client, bob, "070000004dc2a6d0010001", Some((Client, bob, "0102"))),
        ("29", Server, bob, "070000004dc2a6d001", Some((Server, bob, "0103"))),
    ];
    for (vector, port, from, question, answer) in table {
        println!("vector {vector}");
        expect(&mut example(), port, from, &hex(question), answer);
    }
}

#[test]
fn vector_9_binds_a_client_that_never_pinged() {
    let mut world = World::new();
    world.ping(Server, host(), HOST);
    let sent = world.send(Client, alice(), &data(SESSION, A, &[1, 0, 0, 0])).unwrap();
    assert_eq!((sent.to, &sent.bytes[..]), (host(), &hex("020100000001000000")[..]));
    expect(
        &mut world,
        Server,
        host(),
        &data_to(SESSION, HOST, 1, b"hi"),
        Some((Client, alice(), "026869")),
    );
}

#[test]
fn vector_24_follows_a_client_to_its_new_address() {
    let mut world = example();
    let moved = address("192.0.2.2:2001");
    expect(
        &mut world,
        Client,
        moved,
        &hex(A_HELLO),
        Some((Server, host(), A_HELLO_AT_HOST)),
    );
    expect(
        &mut world,
        Server,
        host(),
        &data_to(SESSION, HOST, 1, b"hi"),
        Some((Client, moved, "026869")),
    );
}

#[test]
fn vector_25_tells_that_the_host_timed_out() {
    let mut world = example();
    world.wait(Duration::from_secs(30));
    assert_eq!(world.ping(Client, alice(), A), Some(2));
    world.wait(Duration::from_nanos(1));
    expect(
        &mut world,
        Client,
        alice(),
        &hex(A_PING),
        Some((Client, alice(), "0104")),
    );
}

#[test]
fn vector_26_revokes_a_user_at_once() {
    let mut world = example();
    expect(
        &mut world,
        Client,
        bob(),
        &hex(B_FIRST),
        Some((Server, host(), "0202000000ff")),
    );
    world
        .apply(Change::Revoke(session_token(SESSION), user_token(B)))
        .unwrap();
    assert_eq!(
        world.pushes,
        [Push {
            to: bob(),
            via: Client,
            state: State::Invalid
        }]
    );
    expect(&mut world, Client, bob(), &hex(B_FIRST), Some((Client, bob(), "0103")));
    expect(&mut world, Server, host(), &data_to(SESSION, HOST, 2, b"hi"), None);
}

#[test]
fn vector_27_drops_what_is_too_long() {
    for port in Port::ALL {
        expect(&mut example(), port, alice(), &data(SESSION, A, &[5; 1192]), None);
    }
}

#[test]
fn vector_28_forwards_the_longest() {
    let mut world = example();
    let sent = world
        .send(Server, host(), &data_to(SESSION, HOST, 1, &[5; 1187]))
        .unwrap();
    assert_eq!((sent.to, sent.bytes.len()), (alice(), 1188));
    assert_eq!(sent.bytes, [&[2][..], &[5; 1187]].concat());
}
