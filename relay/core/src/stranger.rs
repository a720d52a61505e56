//! Datagrams that do not come from the address their tokens are bound to: new players, players whose address changed, and everybody
//! else on the internet. Here stands what keeps tokens from being guessed and the relay from being used against others.

use std::net::IpAddr;

use crate::hash::KeyedHash;
use crate::moment::Moment;
use crate::rate::Bucket;
use crate::reason::DropReason;
use crate::relay::{Arrival, Judgement, Relay};
use crate::session::UserIndex;
use crate::state::State;
use crate::table::pair;
use crate::verdict::Verdict;

/// Failure budgets for sessions that do not exist, so that these look like those that do, also to somebody who counts answers.
pub(crate) struct UnknownSessions {
    failures: Vec<Bucket>,
    hash: KeyedHash,
}

impl UnknownSessions {
    pub(crate) fn new(hash: KeyedHash) -> UnknownSessions {
        UnknownSessions {
            failures: vec![Bucket::default(); 1024],
            hash,
        }
    }

    fn failures(&mut self, session: u32) -> &mut Bucket {
        let place = self.hash.of(u64::from(session)) as usize % self.failures.len();
        &mut self.failures[place]
    }
}

impl Relay {
    pub(crate) fn meet_stranger(
        &mut self,
        user: Option<UserIndex>,
        arrival: &Arrival,
        datagram: &mut [u8],
    ) -> Judgement {
        let session = self.table.session(arrival.header.session);
        let drop = |reason| Judgement {
            verdict: Verdict::Drop(reason),
            session,
        };
        if let Err(reason) = self.may_speak(arrival) {
            return drop(reason);
        }
        // Comes before the question whether the tokens are right: whoever guesses must not learn it while the budget is used up.
        let limits = &self.settings.limits;
        let failures = match session {
            Some(session) => &mut self.table.sessions[session].failures,
            None => self.unknown_sessions.failures(arrival.header.session),
        };
        if !failures.has_one(limits.session_failures, arrival.now) {
            return drop(DropReason::SessionFailures);
        }
        let reason = match (user, session) {
            (Some(user), _) if self.may_come_from(user, arrival.from.socket.ip()) => {
                return self.welcome(user, arrival, datagram);
            }
            (Some(_), _) => DropReason::ForeignAddress,
            (None, Some(_)) => DropReason::UnknownUser,
            (None, None) => DropReason::UnknownSession,
        };
        Judgement {
            verdict: self.turn_away(reason, arrival),
            session,
        }
    }

    fn may_speak(&mut self, arrival: &Arrival) -> Result<(), DropReason> {
        let source = self.sources.meet(arrival.from.socket.ip(), arrival.now);
        if arrival.now < source.muted_until {
            return Err(DropReason::SourceMuted);
        }
        if !source.packets.take(self.settings.limits.source_packets, 1, arrival.now) {
            return Err(DropReason::SourceRate);
        }
        Ok(())
    }

    fn may_come_from(&self, user: UserIndex, ip: IpAddr) -> bool {
        let registered = self.table.users[user].registered_ip;
        !self.settings.enforce_source_ip
            || registered.is_none_or(|registered| registered.to_canonical() == ip.to_canonical())
    }

    /// One answer for all who are turned away: it must not tell which of the two tokens is wrong.
    fn turn_away(&mut self, reason: DropReason, arrival: &Arrival) -> Verdict {
        // A relay that was not told everything yet knows of no wrong tokens, and Invalid would make some players give up.
        let state = if self.complete { State::Invalid } else { State::Checking };
        if self.complete && !self.was_known(arrival) {
            self.charge(arrival);
        }
        if self.settings.answer_strangers && self.may_answer(arrival.from.socket.ip(), arrival.now) {
            Verdict::Refuse { state, reason }
        } else {
            Verdict::Drop(reason)
        }
    }

    fn was_known(&self, arrival: &Arrival) -> bool {
        let pair = pair(arrival.header.session, arrival.header.user);
        self.departed
            .left_within(pair, self.settings.limits.departed_memory, arrival.now)
    }

    fn charge(&mut self, arrival: &Arrival) {
        let limits = &self.settings.limits;
        let failures = match self.table.session(arrival.header.session) {
            Some(session) => &mut self.table.sessions[session].failures,
            None => self.unknown_sessions.failures(arrival.header.session),
        };
        failures.take(limits.session_failures, 1, arrival.now);
        let source = self.sources.meet(arrival.from.socket.ip(), arrival.now);
        if !source.failures.take(limits.source_failures, 1, arrival.now) {
            source.muted_until = arrival.now + limits.mute;
        }
    }

    fn may_answer(&mut self, ip: IpAddr, now: Moment) -> bool {
        let limits = &self.settings.limits;
        let source = self.sources.meet(ip, now);
        if now < source.next_answer || !self.stranger_answers.take(limits.stranger_answers, 1, now) {
            return false;
        }
        source.next_answer = now + limits.answer_interval;
        true
    }
}
