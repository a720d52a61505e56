//! How datagrams pass between a worker and its sockets: many at once where the platform can, else one by one.

use std::io;

use mio::net::UdpSocket;

use crate::batch::{Departure, Inbox, Received};
use crate::counters::SendReport;
use crate::settings::Settings;
use crate::single;

/// Datagrams in one system call. More gains nothing, and keeps the first of them waiting.
const BATCH: usize = 64;
/// More than may pass, so that what is too long is seen to be, and what is cut off is too long.
const ONE_DATAGRAM: usize = 2048;

pub(crate) enum Transport {
    Single,
    #[cfg(target_os = "linux")]
    Batched(Box<crate::linux::Batched>),
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> (Transport, Inbox) {
        #[cfg(target_os = "linux")]
        if settings.batching {
            let place = if settings.bundling {
                crate::linux::ONE_BUNDLE
            } else {
                ONE_DATAGRAM
            };
            let batched = crate::linux::Batched::new(BATCH, settings.bundling);
            return (Transport::Batched(Box::new(batched)), Inbox::new(BATCH, place));
        }
        let _ = settings;
        (Transport::Single, Inbox::new(BATCH, ONE_DATAGRAM))
    }

    /// Replaces what is in the inbox by what is waiting at the socket, as far as there is room. Never waits.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<Received> {
        inbox.arrivals.clear();
        match self {
            Transport::Single => single::receive(socket, inbox),
            #[cfg(target_os = "linux")]
            Transport::Batched(batched) => batched.receiver.receive(socket, inbox),
        }
    }

    /// Sends parts of the inbox. Never waits: what cannot be sent now is lost, and counted.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        buffer: &[u8],
        departures: &[Departure],
        report: &mut SendReport,
    ) {
        match self {
            Transport::Single => single::send(socket, buffer, departures, report),
            #[cfg(target_os = "linux")]
            Transport::Batched(batched) => batched.sender.send(socket, buffer, departures, report),
        }
    }
}
