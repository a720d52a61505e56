//! Writing down what came of a step.

use std::collections::HashMap;
use std::time::Duration;

use relay_core::{
    DropReason, Drops, PeerAddress, Port, Push, Refusal, SessionStatistics, SessionToken, State, Totals, Traffic,
};

use crate::REFUSALS;

/// An outcome under way. Its length stands before it and is known at its end.
pub struct Outcome<'a> {
    written: &'a mut Vec<u8>,
    from: usize,
}

impl<'a> Outcome<'a> {
    pub fn begin(written: &'a mut Vec<u8>) -> Outcome<'a> {
        written.extend([0, 0]);
        Outcome {
            from: written.len(),
            written,
        }
    }

    pub fn end(self) {
        let length = u16::try_from(self.written.len() - self.from).expect("an outcome of less than 64 KiB");
        self.written[self.from - 2..self.from].copy_from_slice(&length.to_le_bytes());
    }

    pub fn done(&mut self) {
        self.written.push(0);
    }

    pub fn forwarded(&mut self, via: Port, to: u16, start: usize, sent: &[u8]) {
        self.written.extend([1, number(via)]);
        self.written.extend(to.to_le_bytes());
        self.written.push(start as u8);
        self.written.extend_from_slice(sent);
    }

    pub fn answered(&mut self, state: State) {
        self.written.extend([2, state as u8]);
    }

    pub fn refused(&mut self, state: State, reason: DropReason) {
        self.written.extend([3, state as u8, reason as u8]);
    }

    pub fn dropped(&mut self, reason: DropReason) {
        self.written.extend([4, reason as u8]);
    }

    pub fn changed(&mut self, refusal: Option<Refusal>) {
        self.written.extend([5, refusal.map_or(0, refusal_number)]);
    }

    pub fn replaced(&mut self, done: bool, refused: &[(SessionToken, Refusal)]) {
        self.written.extend([6, u8::from(done)]);
        self.written.extend((refused.len() as u16).to_le_bytes());
        for (session, refusal) in refused {
            self.token(*session);
            self.written.push(refusal_number(*refusal));
        }
    }

    pub fn pushes(&mut self, pushes: &[Push], numbers: &HashMap<PeerAddress, u16>) {
        for push in pushes {
            self.written.extend(numbers[&push.to].to_le_bytes());
            self.written.extend([number(push.via), push.state as u8]);
        }
    }

    pub fn session(&mut self, session: Option<&SessionStatistics>) {
        self.written.push(7);
        if let Some(session) = session {
            self.statistics(session);
        }
    }

    pub fn sessions(&mut self) {
        self.written.push(8);
    }

    pub fn idle(&mut self) {
        self.written.push(9);
    }

    pub fn token(&mut self, session: SessionToken) {
        self.written.extend(session.get().to_le_bytes());
    }

    /// `token u32, users u32, clients u32, has host u8, age u64, has spoken u8, silent for u64, idle u8`, and what was counted: received, to
    /// the host, to clients (each `packets u64, bytes u64`), `pings u64`, and drops (`u64` for each reason).
    pub fn statistics(&mut self, session: &SessionStatistics) {
        self.token(session.token);
        self.written.extend((session.users as u32).to_le_bytes());
        self.written.extend((session.clients as u32).to_le_bytes());
        self.written.push(u8::from(session.has_host));
        self.duration(session.age);
        self.written.push(u8::from(session.silent_for.is_some()));
        self.duration(session.silent_for.unwrap_or_default());
        self.written.push(u8::from(session.idle));
        self.traffic(session.counters.received);
        self.traffic(session.counters.to_host);
        self.traffic(session.counters.to_clients);
        self.count(session.counters.pings);
        self.drops(&session.counters.drops);
    }

    /// `sessions u64, users u64`; received, to hosts, to clients; for each state and each reason `u64`.
    pub fn totals(&mut self, totals: &Totals) {
        self.written.push(10);
        self.count(totals.sessions as u64);
        self.count(totals.users as u64);
        self.traffic(totals.received);
        self.traffic(totals.to_hosts);
        self.traffic(totals.to_clients);
        for state in State::ALL {
            self.count(totals.states.of(state));
        }
        self.drops(&totals.drops);
    }

    pub fn lost(&mut self, reason: DropReason) {
        self.written.extend([11, reason as u8]);
    }

    fn traffic(&mut self, traffic: Traffic) {
        self.count(traffic.packets);
        self.count(traffic.bytes);
    }

    fn drops(&mut self, drops: &Drops) {
        for reason in DropReason::ALL {
            self.count(drops.of(reason));
        }
    }

    fn duration(&mut self, duration: Duration) {
        self.count(u64::try_from(duration.as_nanos()).expect("less than 584 years"));
    }

    fn count(&mut self, count: u64) {
        self.written.extend(count.to_le_bytes());
    }
}

fn number(port: Port) -> u8 {
    Port::ALL.iter().position(|other| *other == port).expect("a port") as u8
}

fn refusal_number(refusal: Refusal) -> u8 {
    let place = REFUSALS.iter().position(|other| *other == refusal);
    place.expect("a refusal") as u8 + 1
}
