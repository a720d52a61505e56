//! What the control side holds.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::Waker;
use relay_core::{Change, Port, Refusal, Relay, Replacement, SessionStatistics, SessionToken, Totals, WantedSession};

use crate::counters::IoCounters;
use crate::failures::{Failure, Failures};
use crate::job::{Changes, Job, Part};
use crate::platform::Lookout;
use crate::settings::{Settings, StartError};
use crate::sockets::{self, worker_of, SocketFacts, WorkerSockets};
use crate::worker::{Assignment, Place, Worker};

/// A relay at work. May be used from several threads at once. Stops when it is dropped.
///
/// Everything that asks the workers takes a `patience`: a worker answers between two batches of datagrams, so that an answer that
/// does not come means that a thread was not given time to run. A change that was not answered in time may still be made.
pub struct RunningRelay {
    workers: Vec<Hold>,
    facts: Vec<SocketFacts>,
    shared: Arc<Shared>,
}

/// What workers share with whoever holds the relay.
#[derive(Default)]
pub(crate) struct Shared {
    /// Workers end at once when this is set, whatever they were asked to do before.
    pub(crate) stopping: AtomicBool,
    pub(crate) failures: Failures,
}

/// One worker, from outside.
struct Hold {
    jobs: Sender<Job>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What happened altogether.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// In the core.
    pub totals: Totals,
    /// At the sockets.
    pub io: IoCounters,
}

/// The relay as a whole, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Addresses that are bound, hosts and clients.
    pub bindings: usize,
    /// What happened until now; also how many sessions and users there are.
    pub statistics: Statistics,
}

/// A change that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The session that it was about.
    pub session: SessionToken,
    /// Why.
    pub refusal: Refusal,
}

impl From<(SessionToken, Refusal)> for Refused {
    fn from((session, refusal): (SessionToken, Refusal)) -> Self {
        Refused { session, refusal }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// Patience ran out.
    TimedOut,
    /// The relay was stopped.
    Ended,
    /// A worker came across a mistake in the relay; `RunningRelay::failures` says which.
    Failed,
}

impl fmt::Display for ControlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ControlError::TimedOut => "the relay did not answer in time; try again",
            ControlError::Ended => "the relay has stopped; start it again",
            ControlError::Failed => "the relay failed at this, and goes on; try again",
        })
    }
}

impl std::error::Error for ControlError {}

impl RunningRelay {
    /// Takes the sockets over, those of one worker each, and starts; they are closed where that fails. When this returns, every peer is
    /// told Checking until the first `replace`.
    ///
    /// Several workers share all addresses (Linux only). Each has its sockets bound in the same order, and workers must be handed over in
    /// the order in which theirs were bound: that is how the kernel counts when it gives each its sessions. `secret` is a random number
    /// that nobody outside may know.
    pub fn start(sockets: Vec<WorkerSockets>, settings: &Settings, secret: u64) -> Result<RunningRelay, StartError> {
        let adopted = sockets::adopt(sockets, settings)?;
        let shared = Arc::new(Shared::default());
        let mut relay = RunningRelay {
            workers: Vec::new(),
            shared: shared.clone(),
            facts: adopted.iter().flatten().map(|endpoint| endpoint.facts).collect(),
        };
        let workers = adopted.len();
        for (number, mut endpoints) in adopted.into_iter().enumerate() {
            let (lookout, waker) = Lookout::new(&mut endpoints)?;
            let (jobs, received_jobs) = channel();
            let assignment = Assignment {
                settings: settings.clone(),
                relay: Relay::new(settings.relay.clone(), secret),
                place: Place { number, workers },
                endpoints,
                jobs: received_jobs,
                shared: shared.clone(),
            };
            let thread = thread::Builder::new()
                .name(format!("relay-{number}"))
                .spawn(move || Worker::new(assignment, lookout).run())?;
            relay.workers.push(Hold {
                jobs,
                waker,
                thread: Mutex::new(Some(thread)),
            });
        }
        Ok(relay)
    }

    /// Where hosts and clients find it; the first address of those that a port has.
    pub fn address(&self, port: Port) -> SocketAddr {
        self.facts
            .iter()
            .find(|fact| fact.port == port)
            .expect("a relay has both ports")
            .address
    }

    /// What became of each socket, notably of the buffers that were asked for.
    pub fn sockets(&self) -> &[SocketFacts] {
        &self.facts
    }

    /// The mistakes in the relay that were met since this was last asked; of many, the latest. They are to be reported: the relay goes on.
    pub fn failures(&self) -> Vec<Failure> {
        self.shared.failures.take()
    }

    /// Makes changes, in their order. When this returns, datagrams are judged by them. Returns those that were refused.
    pub fn apply(&self, changes: Vec<Change>, patience: Duration) -> Result<Vec<Refused>, ControlError> {
        let parts = self.share(changes, Change::session);
        let answers = self.ask_each(parts, |changes, answer| Job::Apply {
            changes: Box::new(Changes::new(changes)),
            answer,
        })?;
        let mut refused = Vec::new();
        self.each(answers, patience, |part| refused.extend(part.refused))?;
        Ok(refused.into_iter().map(Refused::from).collect())
    }

    /// Makes these sessions, and no others, exist. What exists already keeps its connections. Returns those that were refused.
    pub fn replace(&self, wanted: Vec<WantedSession>, patience: Duration) -> Result<Vec<Refused>, ControlError> {
        let parts = self.share(wanted, |session| session.token);
        let answers = self.ask_each(parts, |wanted, answer| Job::Replace {
            replacement: Box::new(Replacement::new(wanted)),
            answer,
        })?;
        let mut refused = Vec::new();
        self.each(answers, patience, |part| refused.extend(part.into_refused()))?;
        Ok(refused.into_iter().map(Refused::from).collect())
    }

    /// What happened altogether, since the start.
    pub fn statistics(&self, patience: Duration) -> Result<Statistics, ControlError> {
        let answers = self.ask_all(|answer| Job::Totals { answer })?;
        let mut statistics = Statistics::default();
        self.each(answers, patience, |(totals, io)| {
            statistics.totals.merge(&totals);
            statistics.io.merge(&io);
        })?;
        Ok(statistics)
    }

    /// The relay as a whole. Looks at every session, but copies nothing.
    pub fn load(&self, patience: Duration) -> Result<Load, ControlError> {
        let answers = self.ask_all(|answer| Job::Load {
            cursor: 0,
            bindings: 0,
            answer,
        })?;
        let mut load = Load::default();
        self.each(answers, patience, |(bindings, totals, io)| {
            load.bindings += bindings;
            load.statistics.totals.merge(&totals);
            load.statistics.io.merge(&io);
        })?;
        Ok(load)
    }

    /// All sessions as they are now, in no order.
    pub fn sessions(&self, patience: Duration) -> Result<Vec<SessionStatistics>, ControlError> {
        let answers = self.ask_all(|answer| Job::Sessions { cursor: 0, answer })?;
        let mut sessions = Vec::new();
        self.each_part(answers, patience, |part| sessions.extend(part))?;
        Ok(sessions)
    }

    /// One session as it is now; `None`: the relay does not have it.
    pub fn session(&self, token: SessionToken, patience: Duration) -> Result<Option<SessionStatistics>, ControlError> {
        let worker = &self.workers[worker_of(token.get(), self.workers.len())];
        let answers = worker.ask(|answer| Job::Session { token, answer })?;
        let mut found = None;
        self.each(vec![answers], patience, |session| found = session)?;
        Ok(found.map(|session| *session))
    }

    /// The sessions that nobody has used for so long that they should be deleted.
    pub fn idle_sessions(&self, patience: Duration) -> Result<Vec<SessionToken>, ControlError> {
        let answers = self.ask_all(|answer| Job::Idle { cursor: 0, answer })?;
        let mut sessions = Vec::new();
        self.each_part(answers, patience, |part| sessions.extend(part))?;
        Ok(sessions)
    }

    /// The sessions whose host has been silent for longer than the owner timeout.
    pub fn silent_hosts(&self, patience: Duration) -> Result<Vec<SessionToken>, ControlError> {
        let answers = self.ask_all(|answer| Job::SilentHosts { cursor: 0, answer })?;
        let mut sessions = Vec::new();
        self.each_part(answers, patience, |part| sessions.extend(part))?;
        Ok(sessions)
    }

    /// From now on, or no longer: pings are answered with Error, because the relay is about to go away. Traffic still flows.
    pub fn set_draining(&self, draining: bool, patience: Duration) -> Result<(), ControlError> {
        let answers = self.ask_all(|answer| Job::Draining { draining, answer })?;
        self.each(answers, patience, |()| {})
    }

    /// Ends all workers and closes the ports; whoever waits for an answer is told that the relay has ended. When this returns, all of
    /// it is done. Repeating it does nothing.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        for worker in &self.workers {
            // Where a worker has ended, there is nobody to wake.
            let _ = worker.waker.wake();
        }
        for worker in &self.workers {
            let mut thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }

    /// What concerns each worker's sessions.
    fn share<T>(&self, all: Vec<T>, session: impl Fn(&T) -> SessionToken) -> Vec<Vec<T>> {
        let mut parts: Vec<Vec<T>> = self.workers.iter().map(|_| Vec::new()).collect();
        for one in all {
            let worker = worker_of(session(&one).get(), parts.len());
            parts[worker].push(one);
        }
        parts
    }

    fn ask_each<T, A>(
        &self,
        parts: Vec<T>,
        job: impl Fn(T, Sender<A>) -> Job,
    ) -> Result<Vec<Receiver<A>>, ControlError> {
        let workers = self.workers.iter().zip(parts);
        workers
            .map(|(worker, part)| worker.ask(|answer| job(part, answer)))
            .collect()
    }

    fn ask_all<T>(&self, job: impl Fn(Sender<T>) -> Job) -> Result<Vec<Receiver<T>>, ControlError> {
        self.workers.iter().map(|worker| worker.ask(&job)).collect()
    }

    /// Takes the answer of every worker.
    fn each<T>(
        &self,
        answers: Vec<Receiver<T>>,
        patience: Duration,
        mut take: impl FnMut(T),
    ) -> Result<(), ControlError> {
        self.hear(answers, patience, |answer| {
            take(answer);
            true
        })
    }

    /// Takes the answers of every worker, of whom each answers in parts.
    fn each_part<T>(
        &self,
        answers: Vec<Receiver<Part<T>>>,
        patience: Duration,
        mut take: impl FnMut(Vec<T>),
    ) -> Result<(), ControlError> {
        self.hear(answers, patience, |part| {
            take(part.found);
            part.last
        })
    }

    /// Hears every worker out; `take` says whether that was all of one.
    fn hear<T>(
        &self,
        answers: Vec<Receiver<T>>,
        patience: Duration,
        mut take: impl FnMut(T) -> bool,
    ) -> Result<(), ControlError> {
        let started = Instant::now();
        for answers in answers {
            let mut done = false;
            while !done {
                done = match answers.recv_timeout(patience.saturating_sub(started.elapsed())) {
                    Ok(answer) => take(answer),
                    Err(RecvTimeoutError::Timeout) => return Err(ControlError::TimedOut),
                    Err(RecvTimeoutError::Disconnected) if self.shared.stopping.load(Ordering::Acquire) => {
                        return Err(ControlError::Ended);
                    }
                    Err(RecvTimeoutError::Disconnected) => return Err(ControlError::Failed),
                };
            }
        }
        Ok(())
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Hold {
    fn ask<T>(&self, job: impl FnOnce(Sender<T>) -> Job) -> Result<Receiver<T>, ControlError> {
        let (answer, answers) = channel();
        self.jobs.send(job(answer)).map_err(|_| ControlError::Ended)?;
        self.waker.wake().map_err(|_| ControlError::Ended)?;
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use relay_core::{UserToken, WantedUser};

    use super::*;
    use crate::binding::{bind, Listen};

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_mistake_is_reported_and_costs_neither_sockets_nor_sessions() {
        let sockets = bind(&Listen::on([127, 0, 0, 1].into())).unwrap();
        let relay = RunningRelay::start(sockets, &Settings::default(), 42).unwrap();
        let (user, session) = (UserToken::new(7).unwrap(), SessionToken::new(8).unwrap());
        let wanted = WantedSession {
            token: session,
            host: None,
            users: vec![WantedUser { token: user, ip: None }],
        };
        relay.replace(vec![wanted], PATIENCE).unwrap();
        let player = UdpSocket::bind("127.0.0.1:0").unwrap();
        player.connect(relay.address(Port::Client)).unwrap();
        player.set_read_timeout(Some(PATIENCE)).unwrap();
        for _ in 0..3 {
            let answers = relay.ask_all(|answer| Job::Fail { answer }).unwrap();
            assert_eq!(relay.each(answers, PATIENCE, |()| {}), Err(ControlError::Failed));
            player.send(&[7, 0, 0, 0, 8, 0, 0, 0, 1]).unwrap();
            let mut answer = [0; 10];
            assert_eq!(player.recv(&mut answer).unwrap(), 2);
            assert_eq!(answer[..2], [1, 2]);
        }
        let failure = Failure {
            worker: 0,
            message: "a mistake".to_owned(),
        };
        assert_eq!(relay.failures(), [failure.clone(), failure.clone(), failure]);
        assert_eq!(relay.failures(), []);
        assert_eq!(relay.statistics(PATIENCE).unwrap().io.failures, 3);
        assert_eq!(relay.session(session, PATIENCE).unwrap().unwrap().clients, 1);
    }
}
