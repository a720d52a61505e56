//! Sockets that somebody has bound, from there on.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use relay_core::Port;
use socket2::{Socket, Type};

use crate::platform;
use crate::settings::{Settings, StartError};

/// The bound sockets of one worker.
///
/// A port has one socket, or one of each family, such as the two loopback addresses need. Each peer is answered through the socket that
/// it spoke to. Whoever binds chooses what cannot be chosen later: V6ONLY, and with several workers SO_REUSEPORT on all sockets.
#[derive(Debug, Default)]
pub struct WorkerSockets {
    /// For hosts.
    pub server: Vec<UdpSocket>,
    /// For everybody else.
    pub client: Vec<UdpSocket>,
}

/// What became of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketFacts {
    /// Which of the two.
    pub port: Port,
    /// Where it is bound.
    pub address: SocketAddr,
    /// Bytes of receive buffer that there are. Linux gives twice what is asked for, for its own needs; less than was asked for means
    /// that `net.core.rmem_max` is too low.
    pub receive_buffer: usize,
    /// Bytes of send buffer that there are.
    pub send_buffer: usize,
}

/// A socket at work.
pub(crate) struct Endpoint {
    pub(crate) facts: SocketFacts,
    pub(crate) socket: mio::net::UdpSocket,
    /// The last report of what it had lost.
    pub(crate) overflows: u32,
    pub(crate) errors_in_a_row: u32,
}

/// Makes the sockets what the relay needs, be they new or in use.
pub(crate) fn adopt(workers: Vec<WorkerSockets>, settings: &Settings) -> Result<Vec<Vec<Endpoint>>, StartError> {
    check_workers(workers.len())?;
    let mut adopted: Vec<Vec<Endpoint>> = Vec::new();
    let shared = workers.len() > 1;
    for sockets in workers {
        let sockets = take_over(sockets, settings, shared)?;
        check(&sockets)?;
        if let Some(first) = adopted.first() {
            check_alike(first, &sockets)?;
        }
        adopted.push(sockets);
    }
    if shared {
        for endpoint in &adopted[0] {
            platform::steer_by_session(&endpoint.socket, adopted.len())?;
        }
    }
    Ok(adopted)
}

/// Which worker has a session: what `steer_by_session` tells the kernel.
pub(crate) fn worker_of(session: u32, workers: usize) -> usize {
    session.swap_bytes() as usize % workers
}

pub(crate) fn check_workers(workers: usize) -> Result<(), StartError> {
    if workers == 0 || (workers > 1 && !platform::SHARES_PORTS) {
        return Err(StartError::Workers(workers));
    }
    Ok(())
}

fn take_over(sockets: WorkerSockets, settings: &Settings, shared: bool) -> Result<Vec<Endpoint>, StartError> {
    let servers = sockets.server.into_iter().map(|socket| (Port::Server, socket));
    let clients = sockets.client.into_iter().map(|socket| (Port::Client, socket));
    let mut endpoints = Vec::new();
    for (port, socket) in servers.chain(clients) {
        let socket = Socket::from(socket);
        if socket.r#type()? != Type::DGRAM {
            return Err(StartError::Sockets("one is not for datagrams"));
        }
        if shared && !platform::is_shared(&socket)? {
            return Err(StartError::Sockets(
                "several workers share a port, and SO_REUSEPORT is not set",
            ));
        }
        tune(settings, &socket)?;
        endpoints.push(Endpoint {
            facts: describe(port, &socket)?,
            socket: mio::net::UdpSocket::from_std(socket.into()),
            overflows: 0,
            errors_in_a_row: 0,
        });
    }
    Ok(endpoints)
}

/// Each port has a socket, and of each family one at most: which to answer through is known by the family of the peer.
fn check(endpoints: &[Endpoint]) -> Result<(), StartError> {
    for port in Port::ALL {
        let addresses = || {
            endpoints
                .iter()
                .map(|endpoint| endpoint.facts)
                .filter(|facts| facts.port == port)
        };
        if addresses().any(|facts| facts.address.port() == 0) {
            return Err(StartError::Sockets("one is not bound"));
        }
        if addresses().count() == 0 {
            return Err(StartError::Sockets("a port has none"));
        }
        let of_ipv6 = addresses().filter(|facts| facts.address.is_ipv6()).count();
        if of_ipv6 > 1 || addresses().count() - of_ipv6 > 1 {
            return Err(StartError::Sockets("a port has two of one family"));
        }
    }
    Ok(())
}

fn check_alike(first: &[Endpoint], other: &[Endpoint]) -> Result<(), StartError> {
    let places = |endpoints: &[Endpoint]| -> Vec<_> {
        endpoints
            .iter()
            .map(|endpoint| (endpoint.facts.port, endpoint.facts.address))
            .collect()
    };
    if places(first) != places(other) {
        return Err(StartError::Sockets(
            "those of two workers differ in address, or in order",
        ));
    }
    Ok(())
}

fn tune(settings: &Settings, socket: &Socket) -> io::Result<()> {
    enlarge(settings, socket);
    let address = address_of(socket)?;
    let every_address = address.ip().to_canonical().is_unspecified();
    platform::tune(socket, settings, address.is_ipv6(), every_address)?;
    socket.set_nonblocking(true)
}

/// As large as the system lets us; what came of it is read back.
fn enlarge(settings: &Settings, socket: &Socket) {
    // Some systems refuse a size that they could only give in part.
    for (size, set) in [
        (
            settings.receive_buffer,
            Socket::set_recv_buffer_size as fn(&Socket, usize) -> io::Result<()>,
        ),
        (settings.send_buffer, Socket::set_send_buffer_size),
    ] {
        let mut size = size;
        while size > 0 && set(socket, size).is_err() {
            size /= 2;
        }
    }
}

fn describe(port: Port, socket: &Socket) -> io::Result<SocketFacts> {
    Ok(SocketFacts {
        port,
        address: address_of(socket)?,
        receive_buffer: socket.recv_buffer_size()?,
        send_buffer: socket.send_buffer_size()?,
    })
}

fn address_of(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}
