//! The thread that moves datagrams. It shares nothing with other threads but a channel of jobs.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use relay_core::{session_number, DropReason, Moment, Port, Push, Relay, Verdict};

use crate::batch::{Arrival, Departure, Inbox};
use crate::counters::{IoCounters, SendReport};
use crate::job::{Job, Workplace};
use crate::settings::Settings;
use crate::single;
use crate::sockets::{worker_of, Endpoint};
use crate::transport::Transport;

pub(crate) const WAKE: Token = Token(usize::MAX);
/// Departures that are collected before they are sent, so that the memory for them is bounded whatever arrives at once.
const DEPARTURES: usize = 1024;
/// How long to sleep when nothing happens. Sockets are looked at after that even if nothing was said about them.
const NAP: Duration = Duration::from_secs(1);

/// Which worker this is, of how many.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) number: usize,
    pub(crate) workers: usize,
}

/// The number of the socket through which a peer on a port is reached.
struct Routes([[usize; 2]; 2]);

impl Routes {
    fn to(endpoints: &[Endpoint]) -> Routes {
        let mut routes = [[0; 2]; 2];
        for port in Port::ALL {
            for is_ipv6 in [false, true] {
                // Peers of a family that a port has no socket of do not exist: none was ever heard.
                routes[port as usize][usize::from(is_ipv6)] = endpoints
                    .iter()
                    .position(|endpoint| endpoint.facts.port == port && endpoint.facts.address.is_ipv6() == is_ipv6)
                    .unwrap_or(0);
            }
        }
        Routes(routes)
    }

    fn toward(&self, port: Port, peer: SocketAddr) -> usize {
        self.0[port as usize][usize::from(peer.is_ipv6())]
    }
}

pub(crate) struct Worker {
    relay: Relay,
    endpoints: Vec<Endpoint>,
    routes: Routes,
    poll: Poll,
    jobs: Receiver<Job>,
    stopping: Arc<AtomicBool>,
    place: Place,
    started: Instant,
    spin: Duration,
    current: Option<Job>,
    counters: IoCounters,
    /// The last report of what each socket had lost.
    overflows: Vec<u32>,
    pushes: Vec<Push>,
}

impl Worker {
    pub(crate) fn new(
        settings: &Settings,
        secret: u64,
        place: Place,
        mut endpoints: Vec<Endpoint>,
        poll: Poll,
        jobs: Receiver<Job>,
        stopping: Arc<AtomicBool>,
    ) -> io::Result<Worker> {
        for (number, endpoint) in endpoints.iter_mut().enumerate() {
            poll.registry()
                .register(&mut endpoint.socket, Token(number), Interest::READABLE)?;
        }
        Ok(Worker {
            relay: Relay::new(settings.relay.clone(), secret),
            routes: Routes::to(&endpoints),
            overflows: vec![0; endpoints.len()],
            endpoints,
            poll,
            jobs,
            stopping,
            place,
            started: Instant::now(),
            spin: settings.spin,
            current: None,
            counters: IoCounters::default(),
            pushes: Vec::new(),
        })
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self, settings: &Settings) {
        let (mut transport, mut inbox) = Transport::new(settings);
        let mut outboxes: Vec<_> = self.endpoints.iter().map(|_| Vec::with_capacity(DEPARTURES)).collect();
        let mut events = Events::with_capacity(8);
        // The poll speaks of a socket once, when something arrives; from then on it is ours to remember that there is more.
        let mut readable = vec![true; self.endpoints.len()];
        while !self.stopping.load(Ordering::Acquire) {
            let attended = self.attend_to_jobs();
            for (number, readable) in readable.iter_mut().enumerate() {
                if *readable {
                    *readable = self.pump(number, &mut transport, &mut inbox, &mut outboxes);
                }
            }
            // After one job there may be another, which was announced together with it.
            let busy = attended || readable.contains(&true);
            self.wait(busy, &mut events, &mut readable);
        }
    }

    fn now(&self) -> Moment {
        Moment::after(self.started.elapsed())
    }

    /// Does a part of what the control side wants; returns whether there was anything.
    fn attend_to_jobs(&mut self) -> bool {
        let Some(job) = self.current.take().or_else(|| self.jobs.try_recv().ok()) else {
            return false;
        };
        let now = self.now();
        let mut workplace = Workplace {
            relay: &mut self.relay,
            counters: &self.counters,
            pushes: &mut self.pushes,
            now,
        };
        self.current = job.work(&mut workplace);
        self.send_pushes();
        true
    }

    fn send_pushes(&mut self) {
        let mut report = SendReport::default();
        for push in self.pushes.drain(..) {
            let endpoint = &self.endpoints[self.routes.toward(push.via, push.to)];
            if let Err(error) = endpoint.socket.send_to(&push.state.frame(), push.to) {
                single::count(&error, &mut report);
            }
        }
        self.count_sent(report);
    }

    /// Moves one batch from a socket; returns whether there may be more.
    fn pump(
        &mut self,
        number: usize,
        transport: &mut Transport,
        inbox: &mut Inbox,
        outboxes: &mut [Vec<Departure>],
    ) -> bool {
        let received = match transport.receive(&self.endpoints[number].socket, inbox) {
            Ok(received) => received,
            Err(_) => {
                self.counters.receive_errors += 1;
                return false;
            }
        };
        if let Some(overflows) = received.overflows {
            let before = std::mem::replace(&mut self.overflows[number], overflows);
            self.counters.receive_overflows += u64::from(overflows.wrapping_sub(before));
        }
        if !inbox.arrivals.is_empty() {
            self.counters.batches += 1;
            let now = self.now();
            for at in 0..inbox.arrivals.len() {
                let arrival = inbox.arrivals[at];
                self.judge(number, &arrival, now, transport, &mut inbox.buffer, outboxes);
            }
            self.send_all(transport, &inbox.buffer, outboxes);
        }
        !received.drained
    }

    /// Asks the core about each datagram of an arrival at this socket.
    fn judge(
        &mut self,
        number: usize,
        arrival: &Arrival,
        now: Moment,
        transport: &mut Transport,
        buffer: &mut [u8],
        outboxes: &mut [Vec<Departure>],
    ) {
        if arrival.truncated {
            self.relay.count_drops(DropReason::TooLong, 1);
            return;
        }
        self.counters.bundles_received += u64::from(arrival.segment < arrival.length);
        let port = self.endpoints[number].facts.port;
        let mut start = arrival.start;
        let end = arrival.start + arrival.length;
        // Once at least: an empty datagram is one too.
        loop {
            let length = arrival.segment.min(end - start);
            let datagram = &mut buffer[start..start + length];
            if self.is_foreign(datagram) {
                self.relay.count_drops(DropReason::ForeignWorker, 1);
            } else {
                match self.relay.receive(port, arrival.from, datagram, now) {
                    Verdict::Forward { to, via, start: first } => {
                        outboxes[self.routes.toward(via, to)].push(Departure {
                            to,
                            start: start + first,
                            length: length - first,
                        });
                    }
                    Verdict::Answer(state) | Verdict::Refuse { state, .. } => {
                        let frame = state.frame();
                        datagram[..frame.len()].copy_from_slice(&frame);
                        outboxes[number].push(Departure {
                            to: arrival.from,
                            start,
                            length: frame.len(),
                        });
                    }
                    Verdict::Drop(_) => {}
                }
                if outboxes.iter().any(|outbox| outbox.len() == DEPARTURES) {
                    self.send_all(transport, buffer, outboxes);
                }
            }
            start += length;
            if start >= end {
                return;
            }
        }
    }

    /// The kernel steers a run of datagrams by its first. One that speaks of several sessions from one port may so come astray.
    fn is_foreign(&self, datagram: &[u8]) -> bool {
        self.place.workers > 1
            && session_number(datagram)
                .is_some_and(|session| worker_of(session, self.place.workers) != self.place.number)
    }

    fn send_all(&mut self, transport: &mut Transport, buffer: &[u8], outboxes: &mut [Vec<Departure>]) {
        let mut report = SendReport::default();
        for (endpoint, outbox) in self.endpoints.iter().zip(outboxes) {
            transport.send(&endpoint.socket, buffer, outbox, &mut report);
            outbox.clear();
        }
        self.count_sent(report);
    }

    fn count_sent(&mut self, report: SendReport) {
        self.counters.bundles_sent += report.bundles;
        self.relay.count_drops(DropReason::SendBufferFull, report.buffer_full);
        self.relay.count_drops(DropReason::SendFailed, report.failed);
    }

    /// Finds out which sockets have something, sleeping until one has or a job comes, unless there is work left.
    fn wait(&mut self, busy: bool, events: &mut Events, readable: &mut [bool]) {
        if busy {
            self.look(Duration::ZERO, events, readable);
            return;
        }
        let mut found = false;
        if !self.spin.is_zero() {
            let until = Instant::now() + self.spin;
            while !found && Instant::now() < until {
                found = self.look(Duration::ZERO, events, readable);
            }
        }
        if !found && !self.look(NAP, events, readable) {
            readable.fill(true);
        }
    }

    /// Returns whether there was anything, which includes being woken.
    fn look(&mut self, timeout: Duration, events: &mut Events, readable: &mut [bool]) -> bool {
        // Interrupted by a signal: as if something had happened.
        if self.poll.poll(events, Some(timeout)).is_err() {
            return true;
        }
        for event in events.iter().filter(|event| event.token() != WAKE) {
            readable[event.token().0] = true;
        }
        !events.is_empty()
    }
}
