//! Where peers are.

use std::net::{IpAddr, SocketAddr};

/// Where a peer is, as far as sending to it goes. All of it tells peers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// What it sends from, and is sent to.
    pub socket: SocketAddr,
    /// Which of the relay's own addresses it sends to, where the relay's socket has several: it takes answers from no other. `None`:
    /// the socket has one, or nobody said.
    pub dialled: Option<OwnAddress>,
}

impl From<SocketAddr> for PeerAddress {
    fn from(socket: SocketAddr) -> Self {
        PeerAddress { socket, dialled: None }
    }
}

/// One of the relay's own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnAddress {
    /// As the socket's family has it: an IPv4 address that an IPv6 socket was asked under is a mapped one.
    pub ip: IpAddr,
    /// The number of the network interface where the address means nothing without it, else 0.
    pub interface: u32,
}
