//! Taking steps apart. Whoever writes them is a test: a step that cannot be read ends the program.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use relay_core::{
    Capacity, Limits, Moment, OwnAddress, PeerAddress, Port, Rate, SessionToken, Settings, UserToken, WantedSession,
    WantedUser,
};

pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    pub fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.bytes.split_at(count);
        self.bytes = left;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().expect("as many bytes as were asked for")
    }

    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn flag(&mut self) -> bool {
        self.u8() != 0
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub fn size(&mut self) -> usize {
        self.u32() as usize
    }

    pub fn moment(&mut self) -> Moment {
        Moment::from_nanos(self.u64())
    }

    pub fn port(&mut self) -> Port {
        Port::ALL[usize::from(self.u8())]
    }

    pub fn session_token(&mut self) -> SessionToken {
        SessionToken::new(self.u32()).expect("a token is not 0")
    }

    pub fn user_token(&mut self) -> UserToken {
        UserToken::new(self.u32()).expect("a token is not 0")
    }

    /// `token u32, host u32 (0: none), count u16, users`.
    pub fn session(&mut self) -> WantedSession {
        WantedSession {
            token: self.session_token(),
            host: UserToken::new(self.u32()),
            users: (0..self.u16()).map(|_| self.user()).collect(),
        }
    }

    /// `token u32, 0 | 4, IPv4 address | 6, IPv6 address`.
    pub fn user(&mut self) -> WantedUser {
        WantedUser {
            token: self.user_token(),
            ip: self.ip(),
        }
    }

    fn ip(&mut self) -> Option<IpAddr> {
        match self.u8() {
            0 => None,
            4 => Some(IpAddr::from(self.array::<4>())),
            6 => Some(IpAddr::from(self.array::<16>())),
            other => panic!("{other} is no family of addresses"),
        }
    }

    /// `IP address as above, port u16`, for IPv6 `flow u32, scope u32`, and the address that it dialled as above, `interface u32`.
    pub fn address(&mut self) -> PeerAddress {
        let socket = match self.ip().expect("an address has an IP address") {
            IpAddr::V4(ip) => SocketAddr::from((ip, self.u16())),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, self.u16(), self.u32(), self.u32())),
        };
        let dialled = self.ip().map(|ip| OwnAddress {
            ip,
            interface: self.u32(),
        });
        PeerAddress { socket, dialled }
    }

    pub fn settings(&mut self) -> Settings {
        Settings {
            owner_timeout: self.duration(),
            client_idle_timeout: self.duration(),
            session_idle_timeout: self.duration(),
            session_unused_timeout: self.duration(),
            enforce_source_ip: self.flag(),
            answer_strangers: self.flag(),
            capacity: Capacity {
                sessions: self.size(),
                users: self.size(),
                users_per_session: self.size(),
                sources: self.size(),
                departed: self.size(),
            },
            limits: Limits {
                source_packets: self.rate(),
                source_failures: self.rate(),
                mute: self.duration(),
                session_failures: self.rate(),
                answer_interval: self.duration(),
                stranger_answers: self.rate(),
                rebinds: self.rate(),
                fresh_connection_interval: self.duration(),
                departed_memory: self.duration(),
                user_packets: self.rate(),
                session_packets: self.rate(),
                session_bytes: self.rate(),
                host_packets: self.rate(),
                host_bytes: self.rate(),
                client_packets: self.rate(),
                client_bytes: self.rate(),
            },
        }
    }

    fn duration(&mut self) -> Duration {
        Duration::from_nanos(self.u64())
    }

    fn rate(&mut self) -> Rate {
        Rate::new(self.u32(), self.u32())
    }
}
