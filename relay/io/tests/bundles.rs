//! Runs of datagrams that reach the relay as one packet. A sender that lets the kernel do the cutting makes such on loopback.

#![cfg(target_os = "linux")]

mod loopback;

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use loopback::*;
use relay_core::{DropReason, Port};

/// Everything that is sent from now on is cut into datagrams of this size.
fn cut(socket: &UdpSocket, size: i32) {
    // SAFETY: pointer and length are those of `size`, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            std::ptr::addr_of!(size).cast(),
            4,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn frames(peer: &Peer, before: &[u8], payloads: &[Vec<u8>]) -> Vec<u8> {
    payloads
        .iter()
        .flat_map(|payload| [&peer.header(2)[..], before, payload].concat())
        .collect()
}

#[test]
fn each_datagram_of_a_run_is_judged_and_forwarded_by_itself() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        let host = Peer::new(&relay, Port::Server, 7, HOST);
        let alice = Peer::new(&relay, Port::Client, 7, A);
        assert_eq!((host.ping(), alice.ping()), (2, 2));
        let mut payloads: Vec<_> = (0..40_u8).map(|number| vec![number; 91]).collect();
        payloads.push(vec![255; 5]);
        cut(&alice.socket, 100);
        cut(&host.socket, 104);
        for _ in 0..20 {
            alice.socket.send(&frames(&alice, b"", &payloads)).unwrap();
            payloads
                .iter()
                .for_each(|payload| assert_eq!(host.hear_from(), (1, payload.clone())));
            host.socket
                .send(&frames(&host, &1_u32.to_le_bytes(), &payloads))
                .unwrap();
            payloads
                .iter()
                .for_each(|payload| assert_eq!(alice.hear_data(), *payload));
        }
        println!("{:?}", relay.statistics(PATIENCE).unwrap().io);
    }
}

#[test]
fn a_run_that_mixes_sessions_is_served_or_counted() {
    for kind in every_kind() {
        let relay = kind.start(&[7, 8]);
        let alice = Peer::new(&relay, Port::Client, 7, A);
        let elsewhere = Peer::new(&relay, Port::Client, 8, A);
        let workers = kind.listen.workers as u32;
        let worker_of = |number| session_token(number).get().swap_bytes() % workers;
        assert_eq!(worker_of(7) == worker_of(8), workers == 1, "choose other numbers");
        let run = [
            alice.header(1),
            elsewhere.header(1),
            elsewhere.header(1),
            alice.header(1),
        ];
        cut(&alice.socket, 9);
        alice.socket.send(&run.concat()).unwrap();
        let served = if workers == 1 { 4 } else { 2 };
        (0..served).for_each(|_| assert_eq!(alice.state(), 2));
        let totals = relay.statistics(PATIENCE).unwrap().totals;
        assert_eq!(totals.received.packets, 4);
        assert_eq!(totals.drops.of(DropReason::ForeignWorker), 4 - served);
    }
}

#[test]
fn a_run_may_mix_good_and_bad_pings_and_data() {
    for kind in every_kind() {
        let relay = kind.start(&[7]);
        let host = Peer::new(&relay, Port::Server, 7, HOST);
        let alice = Peer::new(&relay, Port::Client, 7, A);
        let stranger = Peer::new(&relay, Port::Client, 7, 999);
        assert_eq!(host.ping(), 2);
        let datagram = |mut header: Vec<u8>, fill: u8| {
            header.resize(30, fill);
            header
        };
        let run = [
            datagram(alice.header(2), 1),
            datagram(alice.header(1), 2),
            datagram(stranger.header(2), 3),
            datagram(alice.header(7), 4),
            datagram(alice.header(2), 5),
        ];
        cut(&alice.socket, 30);
        alice.socket.send(&run.concat()).unwrap();
        assert_eq!(host.hear_from(), (1, vec![1; 21]));
        assert_eq!(host.hear_from(), (1, vec![5; 21]));
        assert_eq!(alice.state(), 2);
        assert_eq!(alice.state(), 3);
        let drops = relay.statistics(PATIENCE).unwrap().totals.drops;
        assert_eq!(
            (
                drops.of(DropReason::UnknownUser),
                drops.of(DropReason::UnknownType),
                drops.total()
            ),
            (1, 1, 2)
        );
    }
}
