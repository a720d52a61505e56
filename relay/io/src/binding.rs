//! Binding the sockets of a relay, for those who have no rules of their own about addresses and ports.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use relay_core::Port;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::platform;
use crate::settings::StartError;
use crate::sockets::{check_workers, WorkerSockets};

/// Where a relay is to be found.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// What to bind. `::` takes IPv4 and IPv6. Bound to all of its addresses, a relay answers from the one that was asked on Linux only;
    /// elsewhere name the one that players are told.
    pub address: IpAddr,
    /// The port for hosts; 0: any free one.
    pub server_port: u16,
    /// The port for everybody else; 0: any free one.
    pub client_port: u16,
    /// Worker threads. With more than one (Linux only), the kernel hands each its sessions, and another process of the same user
    /// can bind the same ports.
    pub workers: usize,
}

impl Listen {
    /// One worker on free ports of this address.
    pub fn on(address: IpAddr) -> Listen {
        Listen {
            address,
            server_port: 0,
            client_port: 0,
            workers: 1,
        }
    }

    fn port(&self, port: Port) -> u16 {
        match port {
            Port::Server => self.server_port,
            Port::Client => self.client_port,
        }
    }
}

/// Binds one socket for each worker and port, or nothing.
pub fn bind(listen: &Listen) -> Result<Vec<WorkerSockets>, StartError> {
    check_workers(listen.workers)?;
    let mut workers: Vec<WorkerSockets> = (0..listen.workers).map(|_| WorkerSockets::default()).collect();
    for port in Port::ALL {
        let mut address = SocketAddr::new(listen.address, listen.port(port));
        for worker in &mut workers {
            let bound = bind_one(address, listen.workers > 1).and_then(|socket| Ok((socket.local_addr()?, socket)));
            let socket;
            // Where any port would do, the first worker's is the one for all.
            (address, socket) = bound.map_err(|error| StartError::Bind { address, error })?;
            match port {
                Port::Server => worker.server.push(socket),
                Port::Client => worker.client.push(socket),
            }
        }
    }
    Ok(workers)
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if shared {
        platform::share_port(&socket)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}
