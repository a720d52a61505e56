//! How much memory sessions take, as the operating system sees it. Alone in its file, so that nothing else allocates meanwhile.

#![cfg(target_os = "linux")]

mod world;

use std::net::SocketAddr;

use relay_core::*;
use world::*;

const SESSIONS: u32 = 100_000;

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_session_takes_at_most_a_kilobyte_and_strangers_take_none() {
    let before = resident();
    let mut world = World::untold(Settings::default());
    for token in 1..=SESSIONS {
        world.apply(Change::Put(session(token, &[1, 2]))).unwrap();
    }
    let peer = |number: u32| SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 4000));
    for token in 1..=SESSIONS {
        world.wait(std::time::Duration::from_millis(1));
        for (port, user) in [(Port::Server, 1), (Port::Client, 2)] {
            assert!(world.send(port, peer(token), &ping(token, user)).is_some());
        }
        assert!(world.send(Port::Client, peer(token), &data(token, 2, b"x")).is_some());
    }
    let per_session = (resident() - before) / SESSIONS as usize;
    println!("{per_session} bytes per session of a host and a client");
    assert!(per_session <= 1024, "{per_session} bytes per session");

    let full = resident();
    for number in 0..500_000 {
        world.send(
            Port::Client,
            peer(number),
            &ping(number.wrapping_mul(2_654_435_761) | 1 << 31, number),
        );
    }
    let grown = resident().saturating_sub(full);
    assert!(grown < 1 << 20, "strangers made the relay grow by {grown} bytes");
}
