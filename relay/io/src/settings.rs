//! What an operator may choose about sockets and threads.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use relay_core::Port;

/// Where and how a relay runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What to bind. `::` takes IPv4 and IPv6. On a machine with several addresses, name the one that players are told: they take
    /// answers from no other.
    pub address: IpAddr,
    /// The port for hosts; 0: any free one.
    pub server_port: u16,
    /// The port for everybody else; 0: any free one.
    pub client_port: u16,
    /// Worker threads. With more than one (Linux only), the kernel hands each its sessions, and another process of the same user
    /// can bind the same ports.
    pub workers: usize,
    /// Bytes to ask for as each socket's receive buffer. Too little, and bursts are lost while a worker is busy.
    pub receive_buffer: usize,
    /// Bytes to ask for as each socket's send buffer.
    pub send_buffer: usize,
    /// Many datagrams in one system call, where the platform can.
    pub batching: bool,
    /// Runs of equal datagrams in one packet, where the kernel can. Needs `batching`.
    pub bundling: bool,
    /// How long to look for more before going to sleep. Saves about 5 microseconds per datagram at low rates for a whole core.
    pub spin: Duration,
    /// The rules.
    pub relay: relay_core::Settings,
}

impl Settings {
    /// Everything by default, on free ports of this address.
    pub fn new(address: IpAddr) -> Settings {
        Settings {
            address,
            server_port: 0,
            client_port: 0,
            workers: 1,
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            batching: true,
            bundling: true,
            spin: Duration::ZERO,
            relay: relay_core::Settings::default(),
        }
    }

    pub(crate) fn port(&self, port: Port) -> u16 {
        match port {
            Port::Server => self.server_port,
            Port::Client => self.client_port,
        }
    }
}

/// Why a relay could not start. Nothing is left behind.
#[derive(Debug)]
pub enum StartError {
    /// Less than one worker, or more than one where the platform cannot share sessions among them.
    Workers(usize),
    /// A socket could not be made or bound: the address is not of this machine, the port is taken.
    Bind {
        /// What was to be bound.
        address: std::net::SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// Something else that the operating system refused.
    System(io::Error),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::System(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Workers(0) => write!(formatter, "workers must be at least 1"),
            StartError::Workers(workers) => {
                write!(formatter, "{workers} workers need Linux; set workers to 1")
            }
            StartError::Bind { address, error } => write!(formatter, "could not bind UDP {address}: {error}"),
            StartError::System(error) => write!(formatter, "could not start the relay: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Workers(_) => None,
            StartError::Bind { error, .. } | StartError::System(error) => Some(error),
        }
    }
}
