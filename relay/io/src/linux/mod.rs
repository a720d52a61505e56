//! What Linux can do beyond one datagram per system call. All `unsafe` code of the relay is in this folder, but for one line in
//! `descriptors.rs`.

mod address;
mod bundling;
mod lookout;
mod notes;
mod options;
mod receive;
mod send;

use std::io;

use mio::net::UdpSocket;
use socket2::Socket;

use crate::batch::{Departure, Inbox, Received};
use crate::counters::SendReport;
use crate::settings::Settings;

pub(crate) use lookout::Lookout;

/// Several workers can share a port.
pub(crate) const SHARES_PORTS: bool = true;

/// Datagrams in one system call. More gains nothing, and keeps the first of them waiting.
const BATCH: usize = 64;
/// More than may pass, so that what is too long is seen to be, and what is cut off is too long.
const ONE_DATAGRAM: usize = 2048;
/// A run of datagrams is at most 65,535 bytes. The rest keeps the places of an inbox from sharing the same few cache lines.
const ONE_BUNDLE: usize = 65_536 + 512;

/// Lets another socket be bound to the same address. Must come before binding.
pub(crate) fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Whether `share_port` was done.
pub(crate) fn is_shared(socket: &Socket) -> io::Result<bool> {
    socket.reuse_port()
}

/// Makes the sockets that share an address hand each datagram to the worker of its session.
pub(crate) fn steer_by_session(socket: &UdpSocket, workers: usize) -> io::Result<()> {
    options::steer_by_session(socket, workers as u32)
}

/// Prepares a bound socket; `every_address`: it is bound to no address in particular.
pub(crate) fn tune(socket: &Socket, settings: &Settings, is_ipv6: bool, every_address: bool) -> io::Result<()> {
    // These are good to have, and need a privilege or a newer kernel; everything works without them.
    let _ = options::force_buffers(socket, settings.receive_buffer, settings.send_buffer);
    let _ = options::report_overflows(socket);
    let _ = options::bundle_arrivals(socket, settings.batching && settings.bundling);
    if every_address {
        options::report_dialled(socket, is_ipv6)?;
    }
    Ok(())
}

/// How datagrams pass between a worker and its sockets.
pub(crate) struct Transport {
    receiver: receive::Receiver,
    sender: send::Sender,
    bundling: bool,
}

impl Transport {
    /// `socket` is one of those that it is for.
    pub(crate) fn new(settings: &Settings, socket: &UdpSocket) -> Transport {
        let at_once = if settings.batching { BATCH } else { 1 };
        let bundling = settings.batching && settings.bundling;
        Transport {
            receiver: receive::Receiver::new(BATCH, at_once),
            sender: send::Sender::new(at_once, bundling && options::cuts_departures(socket)),
            bundling,
        }
    }

    /// What `receive` fills.
    pub(crate) fn inbox(&self) -> Inbox {
        Inbox::new(BATCH, if self.bundling { ONE_BUNDLE } else { ONE_DATAGRAM })
    }

    /// Replaces what is in the inbox by what is waiting at the socket, as far as there is room. Never waits.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<Received> {
        inbox.arrivals.clear();
        self.receiver.receive(socket, inbox)
    }

    /// Sends parts of the buffer. Never waits: what cannot be sent now is lost, and counted.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        buffer: &[u8],
        departures: &[Departure],
        report: &mut SendReport,
    ) {
        self.sender.send(socket, buffer, departures, report);
    }
}
