//! What is to leave.

use std::net::SocketAddr;

use relay_core::{Port, Push};

use crate::batch::Departure;
use crate::counters::SendReport;
use crate::platform::Transport;
use crate::sockets::Endpoint;

/// Departures that are collected before they are sent, so that the memory for them is bounded whatever arrives at once.
const MOST: usize = 1024;

/// Departures by the socket through which they leave, in their order.
pub(crate) struct Outboxes {
    by_endpoint: Vec<Vec<Departure>>,
    /// The number of the socket through which a peer is reached, by port and family.
    routes: [[usize; 2]; 2],
    waiting: usize,
    /// The frames of pushes, which are in no inbox.
    frames: Vec<u8>,
}

impl Outboxes {
    pub(crate) fn new(endpoints: &[Endpoint]) -> Outboxes {
        let route = |port, is_ipv6| {
            let fits = |endpoint: &Endpoint| endpoint.facts.port == port && endpoint.facts.address.is_ipv6() == is_ipv6;
            // Peers of a family that a port has no socket of do not exist: none was ever heard.
            endpoints.iter().position(fits).unwrap_or(0)
        };
        Outboxes {
            by_endpoint: endpoints.iter().map(|_| Vec::with_capacity(MOST)).collect(),
            routes: Port::ALL.map(|port| [false, true].map(|is_ipv6| route(port, is_ipv6))),
            waiting: 0,
            frames: Vec::new(),
        }
    }

    /// Puts a departure into the box of a socket; returns whether it is time to send.
    #[must_use]
    pub(crate) fn answer(&mut self, endpoint: usize, departure: Departure) -> bool {
        self.by_endpoint[endpoint].push(departure);
        self.waiting += 1;
        self.waiting == MOST
    }

    /// Likewise, from a port.
    #[must_use]
    pub(crate) fn forward(&mut self, via: Port, departure: Departure) -> bool {
        self.answer(self.route(via, departure.to.socket), departure)
    }

    /// Sends everything; all of it is part of this buffer.
    pub(crate) fn send(
        &mut self,
        endpoints: &[Endpoint],
        transport: &mut Transport,
        buffer: &[u8],
        report: &mut SendReport,
    ) {
        for (endpoint, departures) in endpoints.iter().zip(&mut self.by_endpoint) {
            transport.send(&endpoint.socket, buffer, departures, report);
        }
        self.clear();
    }

    /// Forgets what is waiting.
    pub(crate) fn clear(&mut self) {
        self.by_endpoint.iter_mut().for_each(Vec::clear);
        self.waiting = 0;
    }

    /// Sends what peers are told unasked. Nothing else is waiting.
    pub(crate) fn push(
        &mut self,
        pushes: &[Push],
        endpoints: &[Endpoint],
        transport: &mut Transport,
        report: &mut SendReport,
    ) {
        for part in pushes.chunks(MOST) {
            let mut frames = std::mem::take(&mut self.frames);
            frames.clear();
            for push in part {
                let frame = push.state.frame();
                let departure = Departure {
                    to: push.to,
                    start: frames.len(),
                    length: frame.len(),
                };
                frames.extend(frame);
                let _ = self.forward(push.via, departure);
            }
            self.send(endpoints, transport, &frames, report);
            self.frames = frames;
        }
    }

    fn route(&self, port: Port, peer: SocketAddr) -> usize {
        self.routes[port as usize][usize::from(peer.is_ipv6())]
    }
}
