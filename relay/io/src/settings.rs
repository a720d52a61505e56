//! What an operator may choose about sockets and threads.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How a relay runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes to ask for as each socket's receive buffer. Too little, and bursts are lost while a worker is busy.
    pub receive_buffer: usize,
    /// Bytes to ask for as each socket's send buffer.
    pub send_buffer: usize,
    /// Many datagrams in one system call, where the system can.
    pub batching: bool,
    /// Runs of equal datagrams in one packet, where the kernel can. Needs `batching`.
    pub bundling: bool,
    /// How long to look for more before going to sleep. Saves about 5 microseconds per datagram at low rates for a whole core.
    pub spin: Duration,
    /// The rules.
    pub relay: relay_core::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            batching: true,
            bundling: true,
            spin: Duration::ZERO,
            relay: relay_core::Settings::default(),
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
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// The sockets that were handed over are not such as a relay needs: what is wrong with them.
    Sockets(&'static str),
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
            StartError::Sockets(problem) => write!(formatter, "could not start the relay on these sockets: {problem}"),
            StartError::System(error) => write!(formatter, "could not start the relay: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Workers(_) | StartError::Sockets(_) => None,
            StartError::Bind { error, .. } | StartError::System(error) => Some(error),
        }
    }
}
