//! The relay alone, as a program to profile: `serve SERVER_PORT CLIENT_PORT`, to be driven like `bench/relay/serve.py`.
//!
//! Each line of its input says how many sessions it is to have. They have one host and one client each, with the tokens that
//! `bench/relay/load/flow.c` makes up.

use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use relay_core::{Rate, SessionToken, UserToken, WantedSession, WantedUser};
use relay_io::{bind, Listen, RunningRelay, Settings};

const PATIENCE: Duration = Duration::from_secs(60);
/// Far above what passes here: limits are looked at, and never met.
const PLENTY: Rate = Rate::new(100_000_000, 100_000_000);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name: &str| -> u32 {
        let argument = arguments.next().unwrap_or_else(|| panic!("{name} is missing"));
        argument.parse().unwrap_or_else(|_| panic!("{name} is a number"))
    };
    let listen = Listen {
        server_port: number("SERVER_PORT") as u16,
        client_port: number("CLIENT_PORT") as u16,
        ..Listen::on(IpAddr::V4(Ipv4Addr::LOCALHOST))
    };
    let mut settings = Settings::default();
    let limits = &mut settings.relay.limits;
    for rate in [
        &mut limits.user_packets,
        &mut limits.session_packets,
        &mut limits.session_bytes,
        &mut limits.host_packets,
        &mut limits.host_bytes,
        &mut limits.client_packets,
        &mut limits.client_bytes,
    ] {
        *rate = PLENTY;
    }
    let relay = RunningRelay::start(bind(&listen).expect("free ports"), &settings, 42).expect("the relay starts");
    println!("open");
    for line in std::io::stdin().lock().lines() {
        let sessions: u32 = line.expect("text").parse().expect("a number of sessions");
        let refused = relay.replace((1..=sessions).map(session).collect(), PATIENCE);
        assert_eq!(refused, Ok(Vec::new()));
        println!("ready");
    }
}

fn session(number: u32) -> WantedSession {
    let user = |factor: u32| WantedUser {
        token: UserToken::new(number.wrapping_mul(factor)).expect("an odd multiple is not 0"),
        ip: None,
    };
    WantedSession {
        token: SessionToken::new(number.wrapping_mul(0x9e37_79b1)).expect("an odd multiple is not 0"),
        host: None,
        users: vec![user(0x85eb_ca6b), user(0xc2b2_ae35)],
    }
}
