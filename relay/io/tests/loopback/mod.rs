//! Real relays and real peers on the loopback interface.
//!
//! Peers wait for what must come. That something does not come is shown by what was sent after it and came: datagrams of one peer keep
//! their order.

#![allow(dead_code)] // Each test file uses a part.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use relay_core::*;
use relay_io::{bind, Listen, RunningRelay, Settings, WorkerSockets};

pub const HOST: u32 = 100;
pub const A: u32 = 200;
pub const B: u32 = 300;

/// Whether the relay can do what it can do on Linux only.
pub const ON_LINUX: bool = cfg!(all(target_os = "linux", not(feature = "portable")));

/// How long to wait for what must happen. Nothing depends on it being this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A way to run a relay.
#[derive(Clone, Debug)]
pub struct Kind {
    pub listen: Listen,
    pub settings: Settings,
}

/// One worker with everything on. Players here are faster than any that the limits are made for.
pub fn plain() -> Kind {
    let mut settings = Settings::default();
    let limits = &mut settings.relay.limits;
    for rate in [
        &mut limits.source_packets,
        &mut limits.user_packets,
        &mut limits.session_packets,
        &mut limits.session_bytes,
        &mut limits.host_packets,
        &mut limits.host_bytes,
        &mut limits.client_packets,
        &mut limits.client_bytes,
    ] {
        *rate = Rate::UNLIMITED;
    }
    Kind {
        listen: Listen::on(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        settings,
    }
}

/// Every way of moving datagrams, and of sharing sessions among threads.
pub fn every_kind() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (batching, bundling) in [(false, false), (true, false), (true, true)] {
        for workers in if ON_LINUX { vec![1, 4] } else { vec![1] } {
            let mut kind = plain();
            kind.listen.workers = workers;
            kind.settings.batching = batching;
            kind.settings.bundling = bundling;
            kinds.push(kind);
        }
    }
    kinds
}

impl Kind {
    /// A relay with these sessions, each with a host, A and B.
    pub fn start(&self, sessions: &[u32]) -> RunningRelay {
        self.start_on(bind(&self.listen).unwrap(), sessions)
    }

    pub fn start_on(&self, sockets: Vec<WorkerSockets>, sessions: &[u32]) -> RunningRelay {
        println!(
            "batching {}, bundling {}, workers {}",
            self.settings.batching, self.settings.bundling, self.listen.workers
        );
        let relay = self.start_untold(sockets);
        let refused = relay
            .replace(sessions.iter().map(|token| session(*token)).collect(), PATIENCE)
            .unwrap();
        assert_eq!(refused, []);
        relay
    }

    /// A relay that nobody has told anything.
    pub fn start_untold(&self, sockets: Vec<WorkerSockets>) -> RunningRelay {
        RunningRelay::start(sockets, &self.settings, 42).unwrap()
    }
}

pub fn session(token: u32) -> WantedSession {
    WantedSession {
        token: session_token(token),
        host: None,
        users: [HOST, A, B].map(user).to_vec(),
    }
}

/// The token of the session that tests call by this number: as random ones would be, spread over all workers.
pub fn session_token(number: u32) -> SessionToken {
    SessionToken::new(number.wrapping_mul(0x9e37_79b1)).unwrap()
}

pub fn user_token(number: u32) -> UserToken {
    UserToken::new(number).unwrap()
}

pub fn user(number: u32) -> WantedUser {
    WantedUser {
        token: user_token(number),
        ip: None,
    }
}

/// A game on a socket that is connected to the relay, as games have it: it hears the relay's port and nobody else.
pub struct Peer {
    pub socket: UdpSocket,
    session: u32,
    user: u32,
}

impl Peer {
    pub fn new(relay: &RunningRelay, port: Port, session: u32, user: u32) -> Peer {
        Peer::at(relay.address(port), session, user)
    }

    pub fn at(relay: SocketAddr, session: u32, user: u32) -> Peer {
        let any = if relay.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(relay).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer {
            socket,
            session: session_token(session).get(),
            user,
        }
    }

    pub fn header(&self, kind: u8) -> Vec<u8> {
        [&self.user.to_le_bytes()[..], &self.session.to_le_bytes(), &[kind]].concat()
    }

    pub fn send(&self, payload: &[u8]) {
        self.socket.send(&[&self.header(2)[..], payload].concat()).unwrap();
    }

    pub fn send_to(&self, connection: u32, payload: &[u8]) {
        self.send(&[&connection.to_le_bytes(), payload].concat());
    }

    /// The state that the relay answers with.
    pub fn ping(&self) -> u8 {
        self.socket.send(&self.header(1)).unwrap();
        self.state()
    }

    pub fn state(&self) -> u8 {
        let frame = self.hear();
        assert_eq!((frame.len(), frame[0]), (2, 1), "{frame:?}");
        frame[1]
    }

    /// The next datagram.
    pub fn hear(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).expect("a datagram");
        buffer[..length].to_vec()
    }

    pub fn hear_data(&self) -> Vec<u8> {
        let frame = self.hear();
        assert_eq!(frame[0], 2);
        frame[1..].to_vec()
    }

    /// From whom, and what: as a host hears it.
    pub fn hear_from(&self) -> (u32, Vec<u8>) {
        let frame = self.hear_data();
        (u32::from_le_bytes(frame[..4].try_into().unwrap()), frame[4..].to_vec())
    }
}

/// Waits until the condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "never happened: {what}");
        std::thread::yield_now();
    }
}

/// Whether this machine has IPv6. A test without it says so; or fails where the run says that it must not be skipped.
pub fn has_ipv6() -> bool {
    let Err(error) = UdpSocket::bind("[::1]:0") else {
        return true;
    };
    let required = std::env::var("WAYMEET_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name == "ipv6"),
        "ipv6 is required for this run, but {error}"
    );
    println!("SKIPPED, this machine has no IPv6: {error}");
    false
}
