"""Datagrams that do not come from the address their tokens are bound to: new players, players whose address changed, and
everybody else on the internet. Here stands what keeps tokens from being guessed, and the relay from being used against
others.
"""

from waymeet.node.relay.departed import Departed
from waymeet.node.relay.hashing import KeyedHash
from waymeet.node.relay.population import pair
from waymeet.node.relay.rates import Bucket
from waymeet.node.relay.reasons import DropReason, State
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.sessions import Session
from waymeet.node.relay.sources import SourceTable
from waymeet.node.relay.verdicts import Drop, Refuse

_UNKNOWN_SESSIONS = 1024


class Strangers:
    """Limits on those who are not established, by IP address and by the session that they name."""

    def __init__(self, rules: RelayRules, departed: Departed, secret: int) -> None:
        self._rules = rules
        self._departed = departed
        self._hash = KeyedHash(secret)
        self.sources = SourceTable(rules.capacity.sources, self._hash)
        # Failure budgets for sessions that do not exist, so that these look like those that do, also to somebody who
        # counts answers.
        self._unknown_sessions = [Bucket() for _ in range(_UNKNOWN_SESSIONS)]
        self._answers = Bucket()

    def may_speak(self, host: str, now: int) -> DropReason | None:
        """Why a stranger's datagram is not looked at, if it is not. Comes before its tokens."""
        source = self.sources.meet(host, now)
        if now < source.muted_until:
            return DropReason.SOURCE_MUTED
        if not source.packets.take(self._rules.limits.source_packets, 1, now):
            return DropReason.SOURCE_RATE
        return None

    def budget(self, session: Session | None, token: int) -> Bucket:
        """Wrong tokens that were named for this session, whether or not it exists."""
        if session is not None:
            return session.failures
        return self._unknown_sessions[self._hash.of(token) % _UNKNOWN_SESSIONS]

    def turn_away(
        self,
        reason: DropReason,
        session: Session | None,
        tokens: tuple[int, int],
        host: str,
        *,
        complete: bool,
        now: int,
    ) -> Refuse | Drop:
        """One answer for all who are turned away: it must not tell which of the two `tokens` (session, user) is wrong.

        A relay that was not told everything yet (`complete`) knows of no wrong tokens, and Invalid would make some players
        give up.
        """
        if complete and not self._departed.left_within(pair(*tokens), self._rules.limits.departed_memory, now):
            self._charge(session, tokens[0], host, now)
        if self._rules.answer_strangers and self._may_answer(host, now):
            return Refuse(State.INVALID if complete else State.CHECKING, reason)
        return Drop(reason)

    def _charge(self, session: Session | None, token: int, host: str, now: int) -> None:
        limits = self._rules.limits
        self.budget(session, token).take(limits.session_failures, 1, now)
        source = self.sources.meet(host, now)
        if not source.failures.take(limits.source_failures, 1, now):
            source.muted_until = now + limits.mute

    def _may_answer(self, host: str, now: int) -> bool:
        limits = self._rules.limits
        source = self.sources.meet(host, now)
        if now < source.next_answer or not self._answers.take(limits.stranger_answers, 1, now):
            return False
        source.next_answer = now + limits.answer_interval
        return True
