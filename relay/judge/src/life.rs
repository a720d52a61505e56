//! One relay from its beginning, and what each step does to it.

use std::collections::HashMap;

use relay_core::{Change, DropReason, Moment, PeerAddress, Relay, Replacement, SessionToken, Verdict};

use crate::outcome::Outcome;
use crate::reading::Reader;

pub struct Life {
    relay: Relay,
    replacement: Option<Replacement>,
    addresses: Vec<PeerAddress>,
    numbers: HashMap<PeerAddress, u16>,
    datagram: Vec<u8>,
}

impl Life {
    /// Takes one step and appends what came of it.
    pub fn step(life: &mut Option<Life>, reader: &mut Reader, outcomes: &mut Vec<u8>) {
        let kind = reader.u8();
        let now = reader.moment();
        let mut outcome = Outcome::begin(outcomes);
        if kind == 0 {
            *life = Some(Life::begin(reader));
            outcome.done();
        } else {
            life.as_mut()
                .expect("a life begins with its settings")
                .take(kind, now, reader, &mut outcome);
        }
        outcome.end();
    }

    /// `secret u64, settings, count u16, addresses`.
    fn begin(reader: &mut Reader) -> Life {
        let secret = reader.u64();
        let relay = Relay::new(reader.settings(), secret);
        let addresses: Vec<_> = (0..reader.u16()).map(|_| reader.address()).collect();
        Life {
            relay,
            replacement: None,
            numbers: addresses.iter().copied().zip(0..).collect(),
            addresses,
            datagram: Vec::new(),
        }
    }

    fn take(&mut self, kind: u8, now: Moment, reader: &mut Reader, outcome: &mut Outcome) {
        match kind {
            1 => self.receive(now, reader, outcome),
            2 => self.change(&Change::Put(reader.session()), now, outcome),
            3 => self.change(&Change::Remove(reader.session_token()), now, outcome),
            4 => self.change(&Change::Authorize(reader.session_token(), reader.user()), now, outcome),
            5 => self.change(
                &Change::Revoke(reader.session_token(), reader.user_token()),
                now,
                outcome,
            ),
            6 => {
                let wanted = (0..reader.u16()).map(|_| reader.session()).collect();
                self.replacement = Some(Replacement::new(wanted));
                outcome.done();
            }
            7 => self.replace(reader.size(), now, outcome),
            8 => {
                self.relay.set_draining(reader.flag());
                outcome.done();
            }
            9 => outcome.session(self.relay.session(reader.session_token(), now).as_ref()),
            10 => self.list_sessions(reader.size(), now, outcome),
            11 => self.list_idle(reader.size(), now, outcome),
            12 => outcome.totals(&self.relay.totals()),
            13 => {
                let reason = DropReason::ALL[usize::from(reader.u8())];
                self.relay.count_drops(reason, 1);
                outcome.lost(reason);
            }
            14 => {
                self.relay.use_up_connections(reader.session_token(), reader.u32());
                outcome.done();
            }
            other => panic!("{other} is no kind of step"),
        }
    }

    /// `port u8, address u16, length u16, bytes`.
    fn receive(&mut self, now: Moment, reader: &mut Reader, outcome: &mut Outcome) {
        let port = reader.port();
        let from = self.addresses[usize::from(reader.u16())];
        let length = usize::from(reader.u16());
        self.datagram.clear();
        self.datagram.extend_from_slice(reader.bytes(length));
        match self.relay.receive(port, from, &mut self.datagram, now) {
            Verdict::Forward { to, via, start } => {
                outcome.forwarded(via, self.numbers[&to], start, &self.datagram[start..]);
            }
            Verdict::Answer(state) => outcome.answered(state),
            Verdict::Refuse { state, reason } => outcome.refused(state, reason),
            Verdict::Drop(reason) => outcome.dropped(reason),
        }
    }

    fn change(&mut self, change: &Change, now: Moment, outcome: &mut Outcome) {
        let mut pushes = Vec::new();
        let refusal = self.relay.apply(change, now, &mut pushes).err();
        outcome.changed(refusal);
        outcome.pushes(&pushes, &self.numbers);
    }

    /// A part of the replacement that was begun last; nothing if it has been made.
    fn replace(&mut self, budget: usize, now: Moment, outcome: &mut Outcome) {
        let Some(mut replacement) = self.replacement.take() else {
            outcome.done();
            return;
        };
        let mut pushes = Vec::new();
        if replacement.step(&mut self.relay, budget, now, &mut pushes) {
            outcome.replaced(true, &replacement.into_refused());
        } else {
            self.replacement = Some(replacement);
            outcome.replaced(false, &[]);
        }
        outcome.pushes(&pushes, &self.numbers);
    }

    /// All sessions, `budget` of them at a time.
    fn list_sessions(&self, budget: usize, now: Moment, outcome: &mut Outcome) {
        outcome.sessions();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            cursor = self
                .relay
                .session_statistics(from, budget, now, |session| outcome.statistics(&session));
        }
    }

    fn list_idle(&self, budget: usize, now: Moment, outcome: &mut Outcome) {
        outcome.idle();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            cursor = self
                .relay
                .idle_sessions(from, budget, now, |token: SessionToken| outcome.token(token));
        }
    }
}
