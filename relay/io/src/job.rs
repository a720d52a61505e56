//! What the control side asks of a worker. Each job is done in parts, between batches of datagrams, so that none keeps them waiting.

use std::sync::mpsc::Sender;

use relay_core::{Change, Moment, Push, Refusal, Relay, Replacement, SessionStatistics, SessionToken, Totals};

use crate::counters::IoCounters;

/// Sessions that are looked at, or changes that are made, between two batches: well under a millisecond's work.
const PART: usize = 128;

/// Answers go to the sender in the job. A job whose asker has left is done all the same.
pub(crate) enum Job {
    Apply {
        changes: Vec<Change>,
        done: usize,
        refused: Vec<(SessionToken, Refusal)>,
        answer: Sender<Vec<(SessionToken, Refusal)>>,
    },
    Replace {
        replacement: Box<Replacement>,
        answer: Sender<Vec<(SessionToken, Refusal)>>,
    },
    /// Many answers, one per part; the last is known by the end of the channel.
    Sessions {
        cursor: usize,
        answer: Sender<Vec<SessionStatistics>>,
    },
    /// Likewise.
    Idle {
        cursor: usize,
        answer: Sender<Vec<SessionToken>>,
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
}

/// What a worker lends to its jobs.
pub(crate) struct Workplace<'worker> {
    pub(crate) relay: &'worker mut Relay,
    pub(crate) counters: &'worker IoCounters,
    pub(crate) pushes: &'worker mut Vec<Push>,
    pub(crate) now: Moment,
}

impl Job {
    /// Does a part of the job; returns the rest of it.
    pub(crate) fn work(self, place: &mut Workplace<'_>) -> Option<Job> {
        let now = place.now;
        match self {
            Job::Apply {
                changes,
                done,
                mut refused,
                answer,
            } => {
                let until = changes.len().min(done + PART);
                for change in &changes[done..until] {
                    if let Err(refusal) = place.relay.apply(change, now, place.pushes) {
                        refused.push((change.session(), refusal));
                    }
                }
                if until < changes.len() {
                    return Some(Job::Apply {
                        changes,
                        done: until,
                        refused,
                        answer,
                    });
                }
                let _ = answer.send(refused);
                None
            }
            Job::Replace {
                mut replacement,
                answer,
            } => {
                if !replacement.step(place.relay, PART, now, place.pushes) {
                    return Some(Job::Replace { replacement, answer });
                }
                let _ = answer.send(replacement.into_refused());
                None
            }
            Job::Sessions { cursor, answer } => {
                let mut part = Vec::with_capacity(PART);
                let next = place
                    .relay
                    .session_statistics(cursor, PART, now, |session| part.push(session));
                answer.send(part).ok()?;
                next.map(|cursor| Job::Sessions { cursor, answer })
            }
            Job::Idle { cursor, answer } => {
                let mut part = Vec::new();
                let next = place
                    .relay
                    .idle_sessions(cursor, PART, now, |session| part.push(session));
                answer.send(part).ok()?;
                next.map(|cursor| Job::Idle { cursor, answer })
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
                bindings,
                answer,
            } => {
                let (part, next) = place.relay.bindings(cursor, PART, now);
                let bindings = bindings + part;
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
        }
    }
}
