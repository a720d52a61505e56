//! One system call per datagram: works wherever there are sockets.
//!
//! Which of several addresses a datagram was sent to is not known here. On a machine with several addresses, bind the one that players
//! are told: they take answers from no other.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::Socket;

use crate::batch::{Arrival, Departure, Inbox, Received};
use crate::counters::SendReport;
use crate::settings::Settings;
use crate::sockets::Endpoint;
use crate::worker::WAKE;

/// Several workers cannot share a port, since nothing would give each its sessions.
pub(crate) const SHARES_PORTS: bool = false;

/// Datagrams from one socket before another gets its turn.
const BATCH: usize = 64;
/// More than may pass, so that what is too long is seen to be, and what is cut off is too long.
const ONE_DATAGRAM: usize = 2048;

/// Fails.
pub(crate) fn share_port(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No.
pub(crate) fn is_shared(_: &Socket) -> io::Result<bool> {
    Ok(false)
}

/// Fails.
pub(crate) fn steer_by_session(_: &UdpSocket, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is nothing to prepare.
pub(crate) fn tune(_: &Socket, _: &Settings, _is_ipv6: bool, _every_address: bool) -> io::Result<()> {
    Ok(())
}

/// How datagrams pass between a worker and its sockets.
pub(crate) struct Transport;

impl Transport {
    pub(crate) fn new(_: &Settings, _: &UdpSocket) -> Transport {
        Transport
    }

    /// What `receive` fills.
    pub(crate) fn inbox(&self) -> Inbox {
        Inbox::new(BATCH, ONE_DATAGRAM)
    }

    /// Replaces what is in the inbox by what is waiting at the socket, as far as there is room. Never waits.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<Received> {
        inbox.arrivals.clear();
        let mut received = Received::default();
        for place in 0..BATCH {
            let start = place * inbox.stride;
            match socket.recv_from(&mut inbox.buffer[start..start + inbox.stride]) {
                // A datagram that fills its place may have been cut off; with a place that is larger than what may pass, no matter.
                Ok((length, from)) => inbox.arrivals.push(Arrival {
                    from: without_flow(from).into(),
                    start,
                    length,
                    segment: length,
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    received.drained = true;
                    break;
                }
                Err(error) if says_nothing_about_the_next(&error) => {}
                // What has come is looked at first. If this was not for once, it will come again.
                Err(_) if !inbox.arrivals.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(received)
    }

    /// Sends parts of the buffer. Never waits: what cannot be sent now is lost, and counted.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        buffer: &[u8],
        departures: &[Departure],
        report: &mut SendReport,
    ) {
        for departure in departures {
            if let Err(error) = socket.send_to(departure.bytes(buffer), departure.to.socket) {
                report.count_lost(&error, 1);
            }
        }
    }
}

/// How long to sleep when nothing happens. Sockets are looked at after that even if nothing was said about them.
const NAP: Duration = Duration::from_secs(1);

/// What a worker waits for: its sockets, and whoever wakes it. It speaks of a socket once, when something arrives.
pub(crate) struct Lookout {
    poll: Poll,
    events: Events,
}

impl Lookout {
    pub(crate) fn new(endpoints: &mut [Endpoint]) -> io::Result<(Lookout, Waker)> {
        let poll = Poll::new()?;
        for (number, endpoint) in endpoints.iter_mut().enumerate() {
            poll.registry()
                .register(&mut endpoint.socket, Token(number), Interest::READABLE)?;
        }
        let waker = Waker::new(poll.registry(), WAKE)?;
        let events = Events::with_capacity(8);
        Ok((Lookout { poll, events }, waker))
    }

    /// Marks the sockets that have something; returns whether there was anything, which includes being woken. Never waits.
    pub(crate) fn glance(&mut self, readable: &mut [bool]) -> bool {
        self.look(Duration::ZERO, readable)
    }

    /// Likewise, once there is something.
    pub(crate) fn wait(&mut self, readable: &mut [bool]) {
        if !self.look(NAP, readable) {
            readable.fill(true);
        }
    }

    fn look(&mut self, timeout: Duration, readable: &mut [bool]) -> bool {
        // Interrupted by a signal: as if something had happened.
        if self.poll.poll(&mut self.events, Some(timeout)).is_err() {
            return true;
        }
        for event in self.events.iter().filter(|event| event.token() != WAKE) {
            readable[event.token().0] = true;
        }
        !self.events.is_empty()
    }
}

/// Flow labels may change from one datagram to the next, and would look like changes of address.
fn without_flow(mut from: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(from) = &mut from {
        from.set_flowinfo(0);
    }
    from
}

fn says_nothing_about_the_next(error: &io::Error) -> bool {
    match error.kind() {
        // Some systems tell of a peer whose port is closed when one receives.
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted => true,
        // Windows: a datagram that was longer than its place (WSAEMSGSIZE), or one that outlived its hops (WSAENETRESET).
        _ => cfg!(windows) && matches!(error.raw_os_error(), Some(10040 | 10052)),
    }
}
