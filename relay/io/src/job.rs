//! What the control side asks of a worker. Each job is done in parts, between batches of datagrams, so that none keeps them waiting.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use relay_core::{Change, Moment, Push, Refusal, Relay, Replacement, SessionStatistics, SessionToken, Totals};

use crate::counters::IoCounters;

/// How long datagrams may be kept waiting; a single change is finished in any case.
const PART: Duration = Duration::from_micros(100);
/// Sessions that are looked at between two looks at the clock.
const WALK: usize = 32;
/// Sessions that are replaced between two looks at the clock.
const STEP: usize = 4;

/// Answers go to the sender in the job. A job whose asker has left is done all the same.
pub(crate) enum Job {
    /// All of it goes back, for the asker to free, which can take longer than making the changes.
    Apply {
        changes: Box<Changes>,
        answer: Sender<Box<Changes>>,
    },
    /// Likewise.
    Replace {
        replacement: Box<Replacement>,
        answer: Sender<Box<Replacement>>,
    },
    Sessions {
        cursor: usize,
        answer: Sender<Part<SessionStatistics>>,
    },
    Idle {
        cursor: usize,
        answer: Sender<Part<SessionToken>>,
    },
    SilentHosts {
        cursor: usize,
        answer: Sender<Part<SessionToken>>,
    },
    Session {
        token: SessionToken,
        answer: Sender<Option<Box<SessionStatistics>>>,
    },
    Totals {
        answer: Sender<(Box<Totals>, IoCounters)>,
    },
    Load {
        cursor: usize,
        bindings: usize,
        answer: Sender<(usize, Box<Totals>, IoCounters)>,
    },
    Draining {
        draining: bool,
        answer: Sender<()>,
    },
    /// Comes across a mistake.
    #[cfg(test)]
    Fail {
        answer: Sender<()>,
    },
}

/// Changes, and how far they have been made.
pub(crate) struct Changes {
    all: Vec<Change>,
    done: usize,
    pub(crate) refused: Vec<(SessionToken, Refusal)>,
}

impl Changes {
    pub(crate) fn new(all: Vec<Change>) -> Changes {
        Changes {
            all,
            done: 0,
            refused: Vec::new(),
        }
    }

    /// Makes the next one; returns whether there was one.
    fn step(&mut self, place: &mut Workplace<'_>) -> bool {
        let Some(change) = self.all.get(self.done) else {
            return false;
        };
        if let Err(refusal) = place.relay.apply(change, place.now, place.pushes) {
            self.refused.push((change.session(), refusal));
        }
        self.done += 1;
        true
    }
}

/// Some of what was asked for.
pub(crate) struct Part<T> {
    pub(crate) found: Vec<T>,
    /// Nothing comes after it.
    pub(crate) last: bool,
}

/// What a worker lends to its jobs.
pub(crate) struct Workplace<'worker> {
    pub(crate) relay: &'worker mut Relay,
    pub(crate) counters: &'worker IoCounters,
    pub(crate) pushes: &'worker mut Vec<Push>,
    pub(crate) now: Moment,
    /// When this part of the job was begun.
    pub(crate) begun: Instant,
}

impl Workplace<'_> {
    fn has_time(&self) -> bool {
        self.begun.elapsed() < PART
    }
}

impl Job {
    /// Does a part of the job; returns the rest of it.
    pub(crate) fn work(self, place: &mut Workplace<'_>) -> Option<Job> {
        let now = place.now;
        match self {
            Job::Apply { mut changes, answer } => {
                while changes.step(place) {
                    if !place.has_time() {
                        return Some(Job::Apply { changes, answer });
                    }
                }
                let _ = answer.send(changes);
                None
            }
            Job::Replace {
                mut replacement,
                answer,
            } => {
                while !replacement.step(place.relay, STEP, now, place.pushes) {
                    if !place.has_time() {
                        return Some(Job::Replace { replacement, answer });
                    }
                }
                let _ = answer.send(replacement);
                None
            }
            Job::Sessions { cursor, answer } => {
                let mut found = Vec::new();
                let relay = &place.relay;
                let next = walk(place, cursor, |cursor| {
                    relay.session_statistics(cursor, WALK, now, |session| found.push(session))
                });
                let last = next.is_none();
                answer.send(Part { found, last }).ok()?;
                next.map(|cursor| Job::Sessions { cursor, answer })
            }
            Job::Idle { cursor, answer } => {
                let mut found = Vec::new();
                let relay = &place.relay;
                let next = walk(place, cursor, |cursor| {
                    relay.idle_sessions(cursor, WALK, now, |session| found.push(session))
                });
                let last = next.is_none();
                answer.send(Part { found, last }).ok()?;
                next.map(|cursor| Job::Idle { cursor, answer })
            }
            Job::SilentHosts { cursor, answer } => {
                let mut found = Vec::new();
                let relay = &place.relay;
                let next = walk(place, cursor, |cursor| {
                    relay.silent_hosts(cursor, WALK, now, |session| found.push(session))
                });
                let last = next.is_none();
                answer.send(Part { found, last }).ok()?;
                next.map(|cursor| Job::SilentHosts { cursor, answer })
            }
            Job::Session { token, answer } => {
                let _ = answer.send(place.relay.session(token, now).map(Box::new));
                None
            }
            Job::Totals { answer } => {
                let _ = answer.send((Box::new(place.relay.totals()), *place.counters));
                None
            }
            Job::Load {
                cursor,
                mut bindings,
                answer,
            } => {
                let relay = &place.relay;
                let next = walk(place, cursor, |cursor| {
                    let (bound, next) = relay.bindings(cursor, WALK, now);
                    bindings += bound;
                    next
                });
                if let Some(cursor) = next {
                    return Some(Job::Load {
                        cursor,
                        bindings,
                        answer,
                    });
                }
                let _ = answer.send((bindings, Box::new(place.relay.totals()), *place.counters));
                None
            }
            Job::Draining { draining, answer } => {
                place.relay.set_draining(draining);
                let _ = answer.send(());
                None
            }
            #[cfg(test)]
            Job::Fail { answer } => {
                drop(answer);
                panic!("a mistake");
            }
        }
    }
}

/// Takes steps from one cursor to the next while there is time; returns the cursor to go on from, `None` at the end.
fn walk(place: &Workplace<'_>, cursor: usize, mut step: impl FnMut(usize) -> Option<usize>) -> Option<usize> {
    let mut next = step(cursor);
    while let Some(cursor) = next.filter(|_| place.has_time()) {
        next = step(cursor);
    }
    next
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use relay_core::{Settings, UserToken, WantedSession, WantedUser};

    use super::*;

    /// Does all of a job; returns in how many parts.
    fn finish(relay: &mut Relay, job: Job) -> usize {
        let (mut parts, mut rest) = (0, Some(job));
        while let Some(job) = rest {
            rest = job.work(&mut Workplace {
                relay,
                counters: &IoCounters::default(),
                pushes: &mut Vec::new(),
                now: Moment::ORIGIN,
                begun: Instant::now(),
            });
            parts += 1;
        }
        parts
    }

    fn crowded(token: u32) -> WantedSession {
        let user = |number| WantedUser {
            token: UserToken::new(number).unwrap(),
            ip: None,
        };
        WantedSession {
            token: SessionToken::new(token).unwrap(),
            host: None,
            users: (1..=100).map(user).collect(),
        }
    }

    #[test]
    fn datagrams_get_their_turn_in_every_long_job() {
        let relay = &mut Relay::new(Settings::default(), 42);
        let (answer, answers) = channel();
        let changes = Box::new(Changes::new((1..=2000).map(crowded).map(Change::Put).collect()));
        assert!(finish(relay, Job::Apply { changes, answer }) > 1);
        assert_eq!(answers.recv().unwrap().refused, []);
        let (answer, answers) = channel();
        let replacement = Box::new(Replacement::new((1001..=3000).map(crowded).collect()));
        assert!(finish(relay, Job::Replace { replacement, answer }) > 1);
        assert_eq!(answers.recv().unwrap().into_refused(), []);
        assert_eq!((relay.totals().sessions, relay.totals().users), (2000, 200_000));
        let (answer, answers) = channel();
        assert!(finish(relay, Job::Sessions { cursor: 0, answer }) > 1);
        let parts: Vec<_> = answers.iter().collect();
        assert_eq!(parts.iter().map(|part| part.found.len()).sum::<usize>(), 2000);
        assert_eq!(parts.iter().position(|part| part.last), Some(parts.len() - 1));
        let (answer, answers) = channel();
        let load = Job::Load {
            cursor: 0,
            bindings: 0,
            answer,
        };
        assert!(finish(relay, load) > 1);
        assert_eq!(answers.recv().unwrap().0, 0);
    }
}
