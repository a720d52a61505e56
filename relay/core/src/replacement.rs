//! Bringing a relay level with everything that is wanted, without keeping datagrams waiting.

use std::collections::HashSet;

use crate::moment::Moment;
use crate::relay::Relay;
use crate::token::SessionToken;
use crate::verdict::Push;
use crate::wanted::{Refusal, WantedSession};

/// The whole wanted set, on its way into the relay. What is wanted and known already keeps its connections.
///
/// Sessions that are no longer wanted leave first, to make room. When all is done, the relay counts as told: from then on it calls
/// unknown tokens Invalid rather than Checking.
pub struct Replacement {
    wanted: Vec<WantedSession>,
    tokens: HashSet<SessionToken>,
    /// How far the relay has been searched for sessions that must leave; `None`: all of it.
    searched: Option<usize>,
    put: usize,
    refused: Vec<(SessionToken, Refusal)>,
}

impl Replacement {
    /// Nothing has been done yet. Where a session is named twice, the later one counts.
    pub fn new(wanted: Vec<WantedSession>) -> Replacement {
        let tokens = wanted.iter().map(|session| session.token).collect();
        Replacement {
            wanted,
            tokens,
            searched: Some(0),
            put: 0,
            refused: Vec::new(),
        }
    }

    /// Does a part of the work, looking at about `budget` sessions; returns whether all of it is done now.
    pub fn step(&mut self, relay: &mut Relay, budget: usize, now: Moment, pushes: &mut Vec<Push>) -> bool {
        if let Some(cursor) = self.searched {
            self.searched = self.remove_unwanted(relay, cursor, budget, now, pushes);
            return false;
        }
        let part = &self.wanted[self.put..self.wanted.len().min(self.put + budget.max(1))];
        self.put += part.len();
        for wanted in part {
            if let Err(refusal) = relay.put(wanted, now, pushes) {
                self.refused.push((wanted.token, refusal));
            }
        }
        let done = self.put == self.wanted.len();
        if done {
            relay.complete = true;
        }
        done
    }

    /// The sessions that the relay could not take, with the reason.
    pub fn into_refused(self) -> Vec<(SessionToken, Refusal)> {
        self.refused
    }

    fn remove_unwanted(
        &self,
        relay: &mut Relay,
        cursor: usize,
        budget: usize,
        now: Moment,
        pushes: &mut Vec<Push>,
    ) -> Option<usize> {
        let (sessions, next) = relay.table.sessions.walk(cursor, budget.max(1));
        let unwanted: Vec<SessionToken> = sessions
            .map(|session| session.token)
            .filter(|token| !self.tokens.contains(token))
            .collect();
        for token in unwanted {
            relay.remove(token, now, pushes);
        }
        next
    }
}
