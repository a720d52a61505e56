//! The thread that moves datagrams. It shares nothing with other threads but a channel of jobs.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::Token;
use relay_core::{session_number, DropReason, Moment, Push, Relay, Verdict, MAX_DATAGRAM};

use crate::batch::{Arrival, Departure, Inbox};
use crate::counters::{IoCounters, SendReport};
use crate::job::{Job, Workplace};
use crate::outboxes::Outboxes;
use crate::platform::{Lookout, Transport};
use crate::running::Shared;
use crate::settings::Settings;
use crate::sockets::{worker_of, Endpoint};

pub(crate) const WAKE: Token = Token(usize::MAX);

/// How long to wait after a mistake.
const PAUSE: Duration = Duration::from_millis(10);
/// Errors of one socket, with nothing received in between, after which each one more is a pause: whatever is wrong, it takes time.
const ERRORS: u32 = 8;

/// Which worker this is, of how many.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) number: usize,
    pub(crate) workers: usize,
}

/// Everything that a worker is given, from another thread.
pub(crate) struct Assignment {
    pub(crate) settings: Settings,
    pub(crate) relay: Relay,
    pub(crate) place: Place,
    /// At least one.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Worker {
    relay: Relay,
    endpoints: Vec<Endpoint>,
    transport: Transport,
    inbox: Inbox,
    outboxes: Outboxes,
    lookout: Lookout,
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    place: Place,
    started: Instant,
    spin: Duration,
    current: Option<Job>,
    counters: IoCounters,
    pushes: Vec<Push>,
}

impl Worker {
    /// On the thread that it works on. The lookout watches the sockets of the assignment.
    pub(crate) fn new(assignment: Assignment, lookout: Lookout) -> Worker {
        let transport = Transport::new(&assignment.settings, &assignment.endpoints[0].socket);
        Worker {
            relay: assignment.relay,
            inbox: transport.inbox(),
            outboxes: Outboxes::new(&assignment.endpoints),
            transport,
            endpoints: assignment.endpoints,
            lookout,
            jobs: assignment.jobs,
            shared: assignment.shared,
            place: assignment.place,
            started: Instant::now(),
            spin: assignment.settings.spin,
            current: None,
            counters: IoCounters::default(),
            pushes: Vec::new(),
        }
    }

    /// Works until it is told to stop. A mistake costs what was being done; sockets and sessions stay.
    pub(crate) fn run(mut self) {
        while !self.is_told_to_stop() {
            // Whatever state the panic has left behind is one that safe code can be in: no more broken than without it.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve())) {
                self.counters.failures += 1;
                self.shared.failures.add(self.place.number, &*panic);
                self.outboxes.clear();
                self.pushes.clear();
                // Whoever knows how to provoke it must not fill the logs with it.
                thread::sleep(PAUSE);
            }
        }
    }

    fn serve(&mut self) {
        // What was found at a socket is ours to remember until the socket says that there is no more.
        let mut readable = vec![true; self.endpoints.len()];
        while !self.is_told_to_stop() {
            let attended = self.attend_to_jobs();
            for (number, readable) in readable.iter_mut().enumerate() {
                if *readable {
                    *readable = self.pump(number);
                }
            }
            // After one job there may be another, which was announced together with it.
            let busy = attended || readable.contains(&true);
            if busy {
                // Trying costs less than asking.
                readable.fill(true);
            } else {
                self.wait(&mut readable);
            }
        }
    }

    fn is_told_to_stop(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
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
            begun: Instant::now(),
        };
        self.current = job.work(&mut workplace);
        let mut report = SendReport::default();
        self.outboxes
            .push(&self.pushes, &self.endpoints, &mut self.transport, &mut report);
        self.pushes.clear();
        self.count_sent(report);
        true
    }

    /// Moves one batch from a socket; returns whether there may be more.
    fn pump(&mut self, number: usize) -> bool {
        let endpoint = &mut self.endpoints[number];
        let received = match self.transport.receive(&endpoint.socket, &mut self.inbox) {
            Ok(received) => received,
            Err(_) => {
                self.counters.receive_errors += 1;
                endpoint.errors_in_a_row += 1;
                if endpoint.errors_in_a_row >= ERRORS {
                    thread::sleep(PAUSE);
                }
                // It says nothing about what waits behind it, which nobody may tell of again.
                return true;
            }
        };
        endpoint.errors_in_a_row = 0;
        self.counters.receive_errors += received.unreadable;
        if let Some(overflows) = received.overflows {
            let before = std::mem::replace(&mut endpoint.overflows, overflows);
            self.counters.receive_overflows += u64::from(overflows.wrapping_sub(before));
        }
        if !self.inbox.arrivals.is_empty() {
            self.counters.batches += 1;
            let now = self.now();
            for at in 0..self.inbox.arrivals.len() {
                let arrival = self.inbox.arrivals[at];
                self.judge(number, &arrival, now);
            }
            self.send();
        }
        !received.drained
    }

    /// Asks the core about each datagram of an arrival at this socket.
    fn judge(&mut self, number: usize, arrival: &Arrival, now: Moment) {
        self.counters.bundles_received += u64::from(arrival.segment < arrival.length);
        let port = self.endpoints[number].facts.port;
        let mut start = arrival.start;
        let end = arrival.start + arrival.length;
        // Once at least: an empty datagram is one too.
        loop {
            let length = arrival.segment.min(end - start);
            // Of what is too long, one byte more than what may pass is looked at, and counted, however much of it there is.
            let datagram = &mut self.inbox.buffer[start..start + length.min(MAX_DATAGRAM + 1)];
            let full = if is_foreign(self.place, datagram) {
                self.relay.count_unjudged(DropReason::ForeignWorker, datagram.len());
                false
            } else {
                match self.relay.receive(port, arrival.from, datagram, now) {
                    Verdict::Forward { to, via, start: first } => {
                        let departure = Departure {
                            to,
                            start: start + first,
                            length: length - first,
                        };
                        self.outboxes.forward(via, departure)
                    }
                    Verdict::Answer(state) | Verdict::Refuse { state, .. } => {
                        let frame = state.frame();
                        datagram[..frame.len()].copy_from_slice(&frame);
                        let departure = Departure {
                            to: arrival.from,
                            start,
                            length: frame.len(),
                        };
                        self.outboxes.answer(number, departure)
                    }
                    Verdict::Drop(_) => false,
                }
            };
            if full {
                self.send();
            }
            start += length;
            if start >= end {
                return;
            }
        }
    }

    fn send(&mut self) {
        let mut report = SendReport::default();
        self.outboxes
            .send(&self.endpoints, &mut self.transport, &self.inbox.buffer, &mut report);
        self.count_sent(report);
    }

    fn count_sent(&mut self, report: SendReport) {
        self.counters.bundles_sent += report.bundles;
        self.relay.count_drops(DropReason::SendBufferFull, report.buffer_full);
        self.relay.count_drops(DropReason::SendFailed, report.failed);
    }

    /// Finds out which sockets have something, sleeping until one has or a job comes.
    fn wait(&mut self, readable: &mut [bool]) {
        if !self.spin.is_zero() {
            let started = Instant::now();
            while started.elapsed() < self.spin {
                if self.lookout.glance(readable) {
                    return;
                }
            }
        }
        self.lookout.wait(readable);
    }
}

/// The kernel steers a run of datagrams by its first. One that speaks of several sessions from one port may so come astray.
fn is_foreign(place: Place, datagram: &[u8]) -> bool {
    place.workers > 1
        && session_number(datagram).is_some_and(|session| worker_of(session, place.workers) != place.number)
}
