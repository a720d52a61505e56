"""The core in Python, taking steps and writing outcomes as `relay/judge` does."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from struct import Struct
from typing import Any

from tests.node.relay.differential import steps
from waymeet.node.relay.core import RelayCore
from waymeet.node.relay.population import Replacement
from waymeet.node.relay.rates import rate
from waymeet.node.relay.reasons import Port, Refusal, State
from waymeet.node.relay.rules import Capacity, Limits, RelayRules
from waymeet.node.relay.sessions import WantedSession, WantedUser
from waymeet.node.relay.sources import packed_address
from waymeet.node.relay.statistics import SessionStatistics, Traffic
from waymeet.node.relay.verdicts import Address, Answer, Drop, Forward, Push, Refuse, Verdict

DONE, FORWARDED, ANSWERED, REFUSED, DROPPED, CHANGED, REPLACED, SESSION, SESSIONS, IDLE, TOTALS, LOST = range(12)

REFUSALS = tuple(Refusal)
_REFUSAL_NUMBERS = {None: 0} | {refusal: number for number, refusal in enumerate(REFUSALS, 1)}
_PORT_NUMBERS = {port: number for number, port in enumerate(steps.PORTS)}

_forwarded = Struct("<HBBHB")
_push = Struct("<HBB")
_refused = Struct("<IB")
_statistics = Struct(f"<IIIBQBQB{3 * 2 + 1 + len(steps.REASONS)}Q")
_totals = Struct(f"<{2 + 2 * 3 + len(State) + len(steps.REASONS)}Q")


def whole(outcome: bytes) -> bytes:
    """An outcome with its length before it."""
    return steps.U16.pack(len(outcome)) + outcome


def brief(verdict: Answer | Refuse | Drop) -> bytes:
    """What is written of a verdict that sends no payload on."""
    match verdict:
        case Answer(state):
            return whole(bytes((ANSWERED, state)))
        case Refuse(state, reason):
            return whole(bytes((REFUSED, state, steps.REASONS.index(reason))))
        case Drop(reason):
            return whole(bytes((DROPPED, steps.REASONS.index(reason))))


_every_brief: list[Answer | Refuse | Drop] = [
    *(Answer(state) for state in State),
    *(Drop(reason) for reason in steps.REASONS),
    *(Refuse(state, reason) for state in State for reason in steps.REASONS),
]
_BRIEF: dict[Verdict, bytes] = {verdict: brief(verdict) for verdict in _every_brief}
_DONE = whole(bytes((DONE,)))


class Reading:
    """A step, or an outcome, that is taken apart."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._content)

    def take(self, layout: Struct) -> tuple[Any, ...]:
        taken = layout.unpack_from(self._content, self._at)
        self._at += layout.size
        return taken

    def bytes(self, count: int) -> bytes:
        self._at += count
        return self._content[self._at - count : self._at]

    def number(self, layout: Struct) -> int:
        (number,) = self.take(layout)
        return int(number)

    def flag(self) -> bool:
        return self.bytes(1) != b"\0"

    def ip(self) -> str | None:
        (version,) = self.bytes(1)
        return None if version == 0 else str(ip_address(self.bytes(4 if version == 4 else 16)))

    def address(self) -> Address:
        host = self.ip()
        assert host is not None
        port = self.number(steps.U16)
        flow_and_scope = self.take(steps.TWO_NUMBERS) if ":" in host else ()
        dialled = self.ip()
        own = () if dialled is None else ((dialled, self.number(steps.U32)),)
        return (host, port, *flow_and_scope, *own)

    def session(self) -> WantedSession:
        token, host = self.take(steps.TWO_NUMBERS)
        users = tuple(self.user() for _ in range(self.number(steps.U16)))
        return WantedSession(token, users, host or None)

    def user(self) -> WantedUser:
        token, ip = self.number(steps.U32), self.ip()
        return WantedUser(token, None if ip is None else packed_address(ip))


class Reference:
    """Takes steps one after the other. The first one begins a life, and any other may do so again."""

    def __init__(self) -> None:
        self._core: RelayCore
        self._addresses: Sequence[Address] = ()
        self._numbers: dict[Address, int] = {}
        self._replacement: Replacement | None = None
        # Longer than any datagram, and never cleaned: what is left of an earlier one must make no difference.
        self._buffer = bytearray(2048)
        self._kinds: Sequence[Callable[[int, Reading], bytes]] = (
            self._begin, self._misplaced, self._put, self._remove, self._authorize, self._revoke, self._begin_replacement,
            self._replace, self._drain, self._ask_session, self._ask_sessions, self._ask_idle, self._ask_totals, self._lose,
            self._use_up_connections,
        )  # fmt: skip

    def take(self, taken: Iterable[bytes]) -> list[bytes]:
        """What came of each step."""
        return [
            self._receive(step) if step[0] == steps.DATAGRAM else self._kinds[step[0]](*_opened(step)) for step in taken
        ]

    def _receive(self, step: bytes) -> bytes:
        _, now, port, source, length = steps.ARRIVAL.unpack_from(step)
        buffer = self._buffer
        buffer[:length] = step[steps.ARRIVAL.size :]
        verdict = self._core.receive(steps.PORTS[port], self._addresses[source], buffer, length, now)
        if not isinstance(verdict, Forward):
            return _BRIEF[verdict]
        start = verdict.start
        via = 0 if verdict.via is Port.SERVER else 1
        return (
            _forwarded.pack(length - start + 5, FORWARDED, via, self._numbers[verdict.to], start) + buffer[start:length]
        )

    def _begin(self, now: int, step: Reading) -> bytes:
        del now
        secret = int.from_bytes(step.bytes(8), "little")
        chosen: dict[str, Any] = {}
        for name, layout in steps.RULES:
            parts = step.take(layout)
            chosen[name] = rate(*parts) if layout is steps.TWO_NUMBERS else parts[0]
        parts_of_rules = {
            part: {name: chosen[name] for name in part.__slots__ if name in chosen} for part in (Capacity, Limits)
        }
        rules = RelayRules(
            **{name: chosen[name] for name in RelayRules.__slots__ if name in chosen},
            capacity=Capacity(**parts_of_rules[Capacity]),
            limits=Limits(**parts_of_rules[Limits]),
        )
        self._core = RelayCore(rules, secret)
        self._replacement = None
        self._addresses = [step.address() for _ in range(step.number(steps.U16))]
        self._numbers = {address: number for number, address in enumerate(self._addresses)}
        return _DONE

    def _misplaced(self, now: int, step: Reading) -> bytes:
        raise AssertionError("datagrams go another way")

    def _put(self, now: int, step: Reading) -> bytes:
        pushes: list[Push] = []
        return self._changed(self._core.put(step.session(), now, pushes), pushes)

    def _remove(self, now: int, step: Reading) -> bytes:
        pushes: list[Push] = []
        self._core.remove(step.number(steps.U32), now, pushes)
        return self._changed(None, pushes)

    def _authorize(self, now: int, step: Reading) -> bytes:
        del now
        return self._changed(self._core.authorize(step.number(steps.U32), step.user()), [])

    def _revoke(self, now: int, step: Reading) -> bytes:
        pushes: list[Push] = []
        session, user = step.take(steps.TWO_NUMBERS)
        self._core.revoke(session, user, now, pushes)
        return self._changed(None, pushes)

    def _begin_replacement(self, now: int, step: Reading) -> bytes:
        del now
        self._replacement = Replacement([step.session() for _ in range(step.number(steps.U16))])
        return _DONE

    def _replace(self, now: int, step: Reading) -> bytes:
        if self._replacement is None:
            return _DONE
        replacement = self._replacement
        pushes: list[Push] = []
        done = self._core.step(replacement, step.number(steps.U32), now, pushes)
        if done:
            self._replacement = None
        refused = replacement.refused if done else []
        return whole(
            bytes((REPLACED, done))
            + steps.U16.pack(len(refused))
            + b"".join(_refused.pack(token, _REFUSAL_NUMBERS[refusal]) for token, refusal in refused)
            + self._told(pushes)
        )

    def _drain(self, now: int, step: Reading) -> bytes:
        del now
        self._core.draining = step.flag()
        return _DONE

    def _ask_session(self, now: int, step: Reading) -> bytes:
        found = self._core.session(step.number(steps.U32), now)
        return whole(bytes((SESSION,)) + (b"" if found is None else _counted(found)))

    def _ask_sessions(self, now: int, step: Reading) -> bytes:
        budget = step.number(steps.U32)
        found: list[SessionStatistics] = []
        cursor: int | None = 0
        while cursor is not None:
            part, cursor = self._core.sessions(cursor, budget, now)
            found += part
        return whole(bytes((SESSIONS,)) + b"".join(map(_counted, found)))

    def _ask_idle(self, now: int, step: Reading) -> bytes:
        budget = step.number(steps.U32)
        found: list[int] = []
        cursor: int | None = 0
        while cursor is not None:
            part, cursor = self._core.idle_sessions(cursor, budget, now)
            found += part
        return whole(bytes((IDLE,)) + b"".join(map(steps.U32.pack, found)))

    def _ask_totals(self, now: int, step: Reading) -> bytes:
        totals = self._core.totals
        return whole(
            bytes((TOTALS,))
            + _totals.pack(
                self._core.session_count,
                self._core.user_count,
                *_traffic(totals.received),
                *_traffic(totals.to_hosts),
                *_traffic(totals.to_clients),
                *(totals.states[state] for state in State),
                *(totals.drops[reason] for reason in steps.REASONS),
            )
        )

    def _lose(self, now: int, step: Reading) -> bytes:
        del now
        (number,) = step.bytes(1)
        self._core.count_drop(steps.REASONS[number])
        return whole(bytes((LOST, number)))

    def _use_up_connections(self, now: int, step: Reading) -> bytes:
        del now
        token, issued = step.take(steps.TWO_NUMBERS)
        session = self._core._population.session(token)
        if session is not None:
            session.issued = max(session.issued, issued)
        return _DONE

    def _changed(self, refusal: Refusal | None, pushes: Sequence[Push]) -> bytes:
        return whole(bytes((CHANGED, _REFUSAL_NUMBERS[refusal])) + self._told(pushes))

    def _told(self, pushes: Iterable[Push]) -> bytes:
        return b"".join(_push.pack(self._numbers[push.to], _PORT_NUMBERS[push.via], push.state) for push in pushes)


def _opened(step: bytes) -> tuple[int, Reading]:
    reading = Reading(step)
    _, now = reading.take(steps.HEADER)
    return now, reading


def _traffic(traffic: Traffic) -> tuple[int, int]:
    return traffic.packets, traffic.bytes


def _counted(session: SessionStatistics) -> bytes:
    counters = session.counters
    return _statistics.pack(
        session.token,
        session.users,
        session.clients,
        session.has_host,
        session.age,
        session.silent_for is not None,
        session.silent_for or 0,
        session.idle,
        *_traffic(counters.received),
        *_traffic(counters.to_host),
        *_traffic(counters.to_clients),
        counters.pings,
        *(counters.drops[reason] for reason in steps.REASONS),
    )
