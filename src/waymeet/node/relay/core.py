"""What a relay does with each datagram: `(bytes, from, now) -> verdict`.

No sockets, no clock, no randomness of its own: the caller receives and sends, says what time it is, and passes a secret in.
This is the readable statement of the protocol. The native core takes the same decisions in the same order, so that the two
can be compared verdict by verdict: whoever changes one changes both.
"""

from dataclasses import dataclass

from waymeet.node.relay import frames
from waymeet.node.relay.population import Population, Replacement
from waymeet.node.relay.reasons import DropReason, Port, Refusal, State
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.sessions import Binding, Session, User, WantedSession, WantedUser
from waymeet.node.relay.sources import packed_address
from waymeet.node.relay.statistics import Counters, SessionStatistics, Totals
from waymeet.node.relay.strangers import Strangers
from waymeet.node.relay.verdicts import Address, Answer, Drop, Forward, Push, Refuse, Verdict


@dataclass(slots=True)
class _Arrival:
    """A datagram with what its header says. The tokens are as they came: 0 is possible, and known to nobody."""

    port: Port
    source: Address
    datagram: bytearray
    length: int
    user: int
    session: int
    is_ping: bool
    now: int


_DROPS = {reason: Drop(reason) for reason in DropReason}
_ANSWERS = {state: Answer(state) for state in State}


class RelayCore:
    """Everything that a relay knows. Moments are nanoseconds from any fixed origin, above 0; they do not go backwards."""

    def __init__(self, rules: RelayRules, secret: int) -> None:
        """A relay that knows nobody, and tells everybody that it is still Checking until its first replacement is complete.

        `secret` is a random 64-bit number that nobody outside may know.
        """
        self._rules = rules
        self._population = Population(rules)
        self._strangers = Strangers(rules, self._population.departed, secret)
        self._complete = False
        """A whole wanted set has arrived, so that who is not in it is wrong rather than early."""
        self.draining = False
        """Pings are answered with Error, because the relay is about to go away. Traffic still flows."""
        self.totals = Totals()

    @property
    def session_count(self) -> int:
        return self._population.session_count

    @property
    def user_count(self) -> int:
        return self._population.user_count

    @property
    def remembered(self) -> int:
        """How much is kept of strangers and of those who left: bounded by the rules' capacity."""
        return len(self._strangers.sources) + len(self._population.departed)

    def receive(self, port: Port, source: Address, datagram: bytearray, length: int, now: int) -> Verdict:
        """What to do about the first `length` bytes of `datagram`, which arrived at `port`. They are rewritten in place if
        they are to be forwarded. Takes the same time however many sessions there are.
        """
        self.totals.received.add(length)
        session, verdict = self._judge(port, source, datagram, length, now)
        self._count(session, verdict, length)
        return verdict

    def put(self, wanted: WantedSession, now: int, pushes: list[Push]) -> Refusal | None:
        """The session exists and has exactly these users, those who stay keep their connections; or why not.

        Appends to `pushes` what those who lost their place are to be told. Repeatable, like every change.
        """
        before = len(pushes)
        refusal = self._population.put(wanted, now, pushes)
        self._count_pushes(len(pushes) - before)
        return refusal

    def remove(self, session: int, now: int, pushes: list[Push]) -> None:
        """The session does not exist."""
        before = len(pushes)
        self._population.remove(session, now, pushes)
        self._count_pushes(len(pushes) - before)

    def authorize(self, session: int, wanted: WantedUser) -> Refusal | None:
        """The user belongs to the session; or why not."""
        return self._population.authorize(session, wanted)

    def revoke(self, session: int, user: int, now: int, pushes: list[Push]) -> None:
        """The user does not belong to the session."""
        before = len(pushes)
        self._population.revoke(session, user, now, pushes)
        self._count_pushes(len(pushes) - before)

    def step(self, replacement: Replacement, budget: int, now: int, pushes: list[Push]) -> bool:
        """Do a part of a replacement; whether all of it is done now. From then on unknown tokens are called Invalid rather
        than Checking.
        """
        before = len(pushes)
        done = replacement.step(self._population, budget, now, pushes)
        self._count_pushes(len(pushes) - before)
        self._complete = self._complete or done
        return done

    def session(self, token: int, now: int) -> SessionStatistics | None:
        """One session as it is now."""
        session = self._population.session(token)
        return None if session is None else session.statistics(self._rules, now)

    def sessions(self, cursor: int, budget: int, now: int) -> tuple[list[SessionStatistics], int | None]:
        """All sessions as they are now, a part at a time, as `Population.walk` does it."""
        sessions, cursor_after = self._population.walk(cursor, budget)
        return [session.statistics(self._rules, now) for session in sessions], cursor_after

    def idle_sessions(self, cursor: int, budget: int, now: int) -> tuple[list[int], int | None]:
        """Tokens of sessions that nobody has used for so long that they should be deleted; in parts, like `sessions`."""
        sessions, cursor_after = self._population.walk(cursor, budget)
        return [session.token for session in sessions if session.is_idle(self._rules, now)], cursor_after

    def silent_hosts(self, cursor: int, budget: int, now: int) -> tuple[list[int], int | None]:
        """Tokens of sessions whose host has been silent for longer than the owner timeout; in parts, like `sessions`."""
        sessions, cursor_after = self._population.walk(cursor, budget)
        return [session.token for session in sessions if session.has_silent_host(self._rules, now)], cursor_after

    def count_drop(self, reason: DropReason) -> None:
        """A datagram was lost outside of the core."""
        self.totals.drops[reason] += 1

    def _count_pushes(self, pushed: int) -> None:
        self.totals.states[State.INVALID] += pushed

    def _judge(
        self, port: Port, source: Address, datagram: bytearray, length: int, now: int
    ) -> tuple[Session | None, Verdict]:
        """The verdict, and the session that it is counted in."""
        if length > frames.MAX_DATAGRAM:
            return None, _DROPS[DropReason.TOO_LONG]
        # LiteNetLib clients send frames of 8 bytes, without a type, while they are not Valid: nothing is wrong with them.
        if length < frames.HEADER:
            return None, _DROPS[DropReason.TOO_SHORT]
        user_token, session_token, kind = frames.read_header(datagram)
        if kind not in (frames.PING, frames.DATA):
            return None, _DROPS[DropReason.UNKNOWN_TYPE]
        if source[1] == 0:
            return None, _DROPS[DropReason.UNANSWERABLE_SOURCE]
        arrival = _Arrival(port, source, datagram, length, user_token, session_token, kind == frames.PING, now)
        # Established connections come first: whatever strangers do, these see none of the limits made for them.
        user = self._population.user(session_token, user_token)
        if user is not None and self._is_established(user, arrival):
            return user.session, self._welcome(user, arrival)
        return self._meet_stranger(user, arrival)

    def _is_established(self, user: User, arrival: _Arrival) -> bool:
        """Whether the datagram comes from the address that its user is bound to in this role."""
        if arrival.port is Port.CLIENT:
            return user.client is not None and user.client.address == arrival.source
        if user.session.host is not user:
            return False
        host = user.session.live_host(self._rules, arrival.now)
        return host is not None and host.address == arrival.source

    def _meet_stranger(self, user: User | None, arrival: _Arrival) -> tuple[Session | None, Verdict]:
        session = self._population.session(arrival.session)
        host, now = arrival.source[0], arrival.now
        reason = self._strangers.may_speak(host, now)
        if reason is not None:
            return session, _DROPS[reason]
        # Comes before the question whether the tokens are right: whoever guesses must not learn it while the budget is
        # used up.
        if not self._strangers.budget(session, arrival.session).has_one(self._rules.limits.session_failures, now):
            return session, _DROPS[DropReason.SESSION_FAILURES]
        if user is not None:
            if self._may_come_from(user, host):
                return session, self._welcome(user, arrival)
            reason = DropReason.FOREIGN_ADDRESS
        else:
            reason = DropReason.UNKNOWN_SESSION if session is None else DropReason.UNKNOWN_USER
        tokens = (arrival.session, arrival.user)
        return session, self._strangers.turn_away(reason, session, tokens, host, complete=self._complete, now=now)

    def _may_come_from(self, user: User, host: str) -> bool:
        registered = user.registered_ip
        return not self._rules.enforce_source_ip or registered is None or registered == packed_address(host)

    def _welcome(self, user: User, arrival: _Arrival) -> Verdict:
        """What a user says is heard; who it is has been settled."""
        return self._hear_client(user, arrival) if arrival.port is Port.CLIENT else self._hear_host(user, arrival)

    def _hear_client(self, user: User, arrival: _Arrival) -> Verdict:
        """It is bound to its address, and its DATA goes to the host."""
        reason = self._bind_client(user, arrival)
        if reason is not None:
            return _DROPS[reason]
        if arrival.is_ping:
            session = user.session
            host_is_missing = session.had_host and session.live_host(self._rules, arrival.now) is None
            return self._answer_to_ping(State.SESSION_TIMEOUT if host_is_missing else State.VALID)
        return self._forward_to_host(user, arrival)

    def _bind_client(self, user: User, arrival: _Arrival) -> DropReason | None:
        """The latest address wins, and keeps the connection id: networks change under players' feet."""
        limits, now, session = self._rules.limits, arrival.now, user.session
        if not user.sent.take(limits.user_packets, 1, now):
            return DropReason.USER_RATE
        known = user.client
        if known is None:
            user.client = Binding(arrival.source, now)
        else:
            if known.address != arrival.source:
                if not user.rebinds.take(limits.rebinds, 1, now):
                    return DropReason.REBIND_RATE
                # A client that crashed and came back under its old id would talk to its own dead connection at the host.
                if (
                    now - known.last_seen >= self._rules.client_idle_timeout
                    and now - user.connection_since >= limits.fresh_connection_interval
                ):
                    session.disconnect(user)
                known.address = arrival.source
            known.last_seen = now
        if user.connection is None and not session.connect(user, now):
            return DropReason.CONNECTIONS_EXHAUSTED
        session.last_seen = now
        return None

    def _forward_to_host(self, user: User, arrival: _Arrival) -> Verdict:
        if arrival.length <= frames.HEADER:
            return _DROPS[DropReason.EMPTY_PAYLOAD]
        limits, now, session = self._rules.limits, arrival.now, user.session
        host = session.live_host(self._rules, now)
        if host is None:
            if not session.had_host:
                return _DROPS[DropReason.NO_HOST]
            # A KCP client that is not connected yet never pings, so this is how it learns of it.
            return user.refuse(State.SESSION_TIMEOUT, DropReason.HOST_TIMED_OUT, limits.answer_interval, now)
        if user.connection is None:
            return _DROPS[DropReason.CONNECTIONS_EXHAUSTED]
        sent = arrival.length - frames.TO_HOST
        if not self._session_has_room(session, sent, now):
            return _DROPS[DropReason.SESSION_RATE]
        if not session.host_packets.take(limits.host_packets, 1, now) or not session.host_bytes.take(
            limits.host_bytes, sent, now
        ):
            return _DROPS[DropReason.DESTINATION_RATE]
        return Forward(host.address, Port.SERVER, frames.rewrite_for_host(arrival.datagram, user.connection))

    def _hear_host(self, user: User, arrival: _Arrival) -> Verdict:
        """It owns its session while it speaks, and its DATA goes to the client that it names."""
        reason = self._bind_host(user, arrival)
        if reason is DropReason.ROLE_REFUSED:
            if arrival.is_ping:
                return Refuse(State.INVALID, reason)
            return user.refuse(State.INVALID, reason, self._rules.limits.answer_interval, arrival.now)
        if reason is not None:
            return _DROPS[reason]
        if arrival.is_ping:
            return self._answer_to_ping(State.VALID)
        return self._forward_to_client(user, arrival)

    def _bind_host(self, user: User, arrival: _Arrival) -> DropReason | None:
        """One host per session: the one who is named, or else the first who comes, until it times out."""
        limits, now, session = self._rules.limits, arrival.now, user.session
        if not user.sent.take(limits.user_packets, 1, now):
            return DropReason.USER_RATE
        if session.pinned_host is not None and session.pinned_host != user.token:
            return DropReason.ROLE_REFUSED
        binding = session.host_binding
        if session.host is user and binding is not None:
            moved = binding.address != arrival.source
            if moved and not session.host_rebinds.take(limits.rebinds, 1, now):
                return DropReason.REBIND_RATE
            binding.address = arrival.source
            binding.last_seen = now
        else:
            if session.live_host(self._rules, now) is not None:
                return DropReason.ROLE_REFUSED
            session.host = user
            session.host_binding = Binding(arrival.source, now)
        session.had_host = True
        session.last_seen = now
        return None

    def _forward_to_client(self, host: User, arrival: _Arrival) -> Verdict:
        if arrival.length <= frames.HOST_HEADER:
            return _DROPS[DropReason.EMPTY_PAYLOAD]
        limits, now, session = self._rules.limits, arrival.now, host.session
        client = session.connections.get(frames.addressee(arrival.datagram))
        if client is None:
            return _DROPS[DropReason.UNKNOWN_CONNECTION]
        binding = client.live_client(self._rules, now)
        if binding is None:
            return _DROPS[DropReason.CLIENT_IDLE]
        sent = arrival.length - frames.TO_CLIENT
        if not self._session_has_room(session, sent, now):
            return _DROPS[DropReason.SESSION_RATE]
        if not client.received_packets.take(limits.client_packets, 1, now) or not client.received_bytes.take(
            limits.client_bytes, sent, now
        ):
            return _DROPS[DropReason.DESTINATION_RATE]
        return Forward(binding.address, Port.CLIENT, frames.rewrite_for_client(arrival.datagram))

    def _session_has_room(self, session: Session, sent: int, now: int) -> bool:
        limits = self._rules.limits
        return session.packets.take(limits.session_packets, 1, now) and session.sent_bytes.take(
            limits.session_bytes, sent, now
        )

    def _answer_to_ping(self, state: State) -> Verdict:
        return _ANSWERS[State.ERROR if self.draining else state]

    def _count(self, session: Session | None, verdict: Verdict, length: int) -> None:
        counters = None if session is None else session.counters
        if counters is not None:
            counters.received.add(length)
        match verdict:
            case Forward(via=via, start=start):
                sent = length - start
                # What leaves from the server port goes to a host.
                (self.totals.to_hosts if via is Port.SERVER else self.totals.to_clients).add(sent)
                if counters is not None:
                    (counters.to_host if via is Port.SERVER else counters.to_clients).add(sent)
            case Answer(state):
                self.totals.states[state] += 1
                if counters is not None:
                    counters.pings += 1
            case Refuse(state, reason):
                self.totals.states[state] += 1
                self._count_drop(counters, reason)
            case Drop(reason):
                self._count_drop(counters, reason)

    def _count_drop(self, counters: Counters | None, reason: DropReason) -> None:
        self.totals.drops[reason] += 1
        if counters is not None:
            counters.drops[reason] += 1
