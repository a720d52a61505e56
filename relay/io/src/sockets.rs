//! The two sockets of each worker.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use relay_core::Port;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::settings::{Settings, StartError};

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

/// The sockets of one worker.
pub(crate) struct Pair {
    server: UdpSocket,
    client: UdpSocket,
}

impl Pair {
    pub(crate) fn get(&self, port: Port) -> &UdpSocket {
        match port {
            Port::Server => &self.server,
            Port::Client => &self.client,
        }
    }

    pub(crate) fn get_mut(&mut self, port: Port) -> &mut UdpSocket {
        match port {
            Port::Server => &mut self.server,
            Port::Client => &mut self.client,
        }
    }
}

/// Binds everything, in the order of workers, which is how the kernel counts sockets that share a port.
pub(crate) fn open(settings: &Settings) -> Result<(Vec<Pair>, Vec<SocketFacts>), StartError> {
    if settings.workers == 0 || (settings.workers > 1 && !cfg!(target_os = "linux")) {
        return Err(StartError::Workers(settings.workers));
    }
    let mut facts = Vec::new();
    let mut open_all = |port| -> Result<Vec<UdpSocket>, StartError> {
        let mut address = SocketAddr::new(settings.address, settings.port(port));
        let mut sockets = Vec::new();
        for _ in 0..settings.workers {
            let socket = bind(settings, address).map_err(|error| StartError::Bind { address, error })?;
            let fact = describe(port, &socket)?;
            // Where any port would do, the first worker's is the one for all.
            address = fact.address;
            facts.push(fact);
            sockets.push(UdpSocket::from_std(socket.into()));
        }
        #[cfg(target_os = "linux")]
        if settings.workers > 1 {
            crate::linux::steer_by_session(&sockets[0], settings.workers as u32)?;
        }
        Ok(sockets)
    };
    let servers = open_all(Port::Server)?;
    let clients = open_all(Port::Client)?;
    let pairs = servers
        .into_iter()
        .zip(clients)
        .map(|(server, client)| Pair { server, client })
        .collect();
    Ok((pairs, facts))
}

/// Which worker has a session: what `steer_by_session` tells the kernel.
pub(crate) fn worker_of(session: u32, workers: usize) -> usize {
    session.swap_bytes() as usize % workers
}

fn bind(settings: &Settings, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    #[cfg(target_os = "linux")]
    if settings.workers > 1 {
        socket.set_reuse_port(true)?;
    }
    enlarge(settings, &socket);
    #[cfg(target_os = "linux")]
    tune(settings, &socket);
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// As large as the system lets us; what came of it is read back.
fn enlarge(settings: &Settings, socket: &Socket) {
    #[cfg(target_os = "linux")]
    if crate::linux::force_buffers(socket, settings.receive_buffer, settings.send_buffer).is_ok() {
        return;
    }
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

/// Both are good to have and missing on old kernels, where everything works without them.
#[cfg(target_os = "linux")]
fn tune(settings: &Settings, socket: &Socket) {
    let _ = crate::linux::report_overflows(socket);
    if settings.batching && settings.bundling {
        let _ = crate::linux::bundle_arrivals(socket);
    }
}

fn describe(port: Port, socket: &Socket) -> io::Result<SocketFacts> {
    let address = socket
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(SocketFacts {
        port,
        address,
        receive_buffer: socket.recv_buffer_size()?,
        send_buffer: socket.send_buffer_size()?,
    })
}
