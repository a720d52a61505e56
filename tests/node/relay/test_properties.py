"""Whatever happens, in whatever order: what is sent is shorter than what came, goes to people of the same session, under ids
that mean one user each; nobody is served whom the relay was not told about; no table outgrows its bound.
"""

import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.node.relay.world import World, data, data_to, ping, session
from waymeet.node.relay.frames import MAX_DATAGRAM
from waymeet.node.relay.rates import NANOSECONDS, rate
from waymeet.node.relay.reasons import DropReason, Port, State
from waymeet.node.relay.rules import Capacity, Limits, RelayRules
from waymeet.node.relay.sessions import WantedUser
from waymeet.node.relay.verdicts import Address, Answer, Drop, Forward, Refuse

CAPACITY = Capacity(sessions=4, users=12, users_per_session=5, sources=8, departed=4)
RULES = RelayRules(
    capacity=CAPACITY,
    limits=Limits(
        session_packets=rate(500, 50),
        source_failures=rate(10, 20),
        mute=NANOSECONDS,
        session_failures=rate(15, 30),
    ),
)


class Witness:
    """Watches a relay do things and objects to whatever it must never do. Small numbers throughout, so that things meet."""

    def __init__(self) -> None:
        self.world = World(RULES, told=False)
        self.world.replace([])
        self.wanted: dict[int, set[int]] = {}
        """What was asked for and not refused."""
        self.spoke: set[tuple[int, Port, Address]] = set()
        """Everybody who ever spoke with good tokens."""
        self.shown: dict[tuple[int, int], int] = {}
        """Who was shown to a host under which id, in this life of the session."""
        self.forwarded = 0

    def frame(self, port: Port, source: int, token: int, user: int, connection: int, length: int | None) -> None:
        if length is None:
            self.send(port, source, ping(token, user))
        elif port is Port.CLIENT:
            self.send(port, source, data(token, user, b"\7" * length))
        else:
            self.send(port, source, data_to(token, user, connection, b"\7" * length))

    def mutant(self, port: Port, source: int, token: int, user: int, at: int, byte: int, length: int) -> None:
        frame = bytearray(data_to(token, user, 1, b"some payload"))
        frame[at % len(frame)] = byte
        self.send(port, source, bytes(frame[:length]))

    def put(self, token: int, users: list[int], host: int | None) -> None:
        if self.world.put(session(token, users, host)) is None:
            self.wanted[token] = set(users)

    def remove(self, token: int) -> None:
        self.world.remove(token)
        self.forget(token)

    def authorize(self, token: int, user: int) -> None:
        if self.world.core.authorize(token, WantedUser(user)) is None:
            self.wanted[token].add(user)

    def revoke(self, token: int, user: int) -> None:
        self.world.revoke(token, user)
        self.wanted.get(token, set()).discard(user)

    def replace(self, sessions: list[tuple[int, list[int]]]) -> None:
        refused = {token for token, _ in self.world.replace(session(token, users) for token, users in sessions)}
        for token in self.wanted.keys() - {token for token, _ in sessions}:
            self.forget(token)
        for token, users in sessions:
            self.wanted[token] = set(users)
        for token in refused:
            # One that is named twice may be refused once: the relay says which, not at which place.
            self.remove(token)

    def forget(self, token: int) -> None:
        self.wanted.pop(token, None)
        self.spoke = {each for each in self.spoke if each[0] != token}
        self.shown = {each: user for each, user in self.shown.items() if each[0] != token}

    def send(self, port: Port, source_number: int, datagram: bytes) -> None:
        source = (f"192.0.2.{source_number // 4}", source_number)
        sent = self.world.send(port, source, datagram)
        token, user = int.from_bytes(datagram[4:8], "little"), int.from_bytes(datagram[:4], "little")
        is_wanted = len(datagram) >= 9 and user in self.wanted.get(token, ())
        match self.world.verdict:
            case Forward(to, via, _):
                assert sent is not None
                assert is_wanted, "forwarded for somebody it was not told about"
                self.forwarded += 1
                self.spoke.add((token, port, source))
                assert (token, via, to) in self.spoke, "delivered to somebody who is not in the session"
                assert len(sent.content) <= MAX_DATAGRAM
                if via is Port.CLIENT:
                    assert sent.content == b"\2" + datagram[13:]
                else:
                    connection = int.from_bytes(sent.content[1:5], "little")
                    assert (sent.content[0], sent.content[5:]) == (2, datagram[9:])
                    assert 1 <= connection < 2**31
                    assert self.shown.setdefault((token, connection), user) == user, "an id was used again"
            case Answer(state):
                assert is_wanted
                assert datagram[8] == 1
                assert state in (State.VALID, State.SESSION_TIMEOUT)
                self.spoke.add((token, port, source))
            case Refuse(State.INVALID, reason):
                assert is_wanted == (reason is DropReason.ROLE_REFUSED)
            case Refuse(state, reason):
                assert is_wanted
                assert (state, reason) == (State.SESSION_TIMEOUT, DropReason.HOST_TIMED_OUT)
                self.spoke.add((token, port, source))
            case Drop(reason):
                assert not (is_wanted and reason in (DropReason.UNKNOWN_USER, DropReason.UNKNOWN_SESSION))
                # Most of those who are in the session and say nothing that can be passed on are bound nevertheless.
                if is_wanted:
                    self.spoke.add((token, port, source))

    def check(self) -> None:
        core = self.world.core
        assert all(push.state is State.INVALID for push in self.world.pushes)
        self.world.pushes.clear()
        assert core.session_count == len(self.wanted) <= CAPACITY.sessions
        assert core.user_count == sum(map(len, self.wanted.values())) <= CAPACITY.users
        assert core.remembered <= CAPACITY.sources + CAPACITY.departed


Step = Callable[[Witness], None]

_ports = st.sampled_from(Port)
_sources = st.integers(1, 12)
_sessions = st.integers(1, 5)
_users = st.integers(1, 7)
_many_users = st.lists(_users, max_size=7)
_bytes = st.integers(0, 255)


def _step(name: str, *arguments: "st.SearchStrategy[object]") -> "st.SearchStrategy[Step]":
    return st.tuples(*arguments).map(lambda drawn: lambda witness: getattr(witness, name)(*drawn))


_frame = _step(
    "frame", _ports, _sources, st.integers(0, 5), st.integers(0, 7), st.integers(0, 4),
    st.none() | st.integers(0, 39) | st.integers(1180, 1196),
)  # fmt: skip
_steps = st.one_of(
    _frame,
    _frame,
    _frame,
    _step("mutant", _ports, _sources, _sessions, _users, _bytes, _bytes, st.integers(0, 29)),
    _step("send", _ports, _sources, st.binary(max_size=40)),
    st.sampled_from([0.001, 0.1, 0.5, 1.0, 29.0, 31.0]).map(
        lambda seconds: lambda witness: witness.world.wait(seconds)
    ),
    _step("put", _sessions, _many_users, st.none() | _users),
    _step("remove", _sessions),
    _step("authorize", _sessions, _users),
    _step("revoke", _sessions, _users),
    _step("replace", st.lists(st.tuples(_sessions, _many_users), max_size=5)),
)


@settings(max_examples=150)
@given(st.lists(_steps, min_size=1, max_size=80))
def test_nothing_forbidden_happens(steps: list[Step]) -> None:
    witness = Witness()
    for step in steps:
        step(witness)
        witness.check()


def test_nothing_forbidden_happens_on_a_long_walk() -> None:
    """One life of a relay that is much longer than what can be shrunk to a small example."""
    rng = random.Random(7)
    witness = Witness()

    def users() -> list[int]:
        return rng.choices(range(1, 8), k=rng.randrange(8))

    for _ in range(30_000):
        port, source = rng.choice(list(Port)), rng.randrange(1, 13)
        token, user = rng.randrange(1, 6), rng.randrange(1, 8)
        match rng.choices(
            ["frame", "noise", "mutant", "wait", "put", "remove", "authorize", "revoke", "replace"],
            [400, 10, 30, 40, 30, 10, 20, 10, 10],
        ):
            case ["frame"]:
                length = rng.choice([None, rng.randrange(40), rng.randrange(1180, 1197)])
                witness.frame(port, source, rng.randrange(6), rng.randrange(8), rng.randrange(5), length)
            case ["noise"]:
                witness.send(port, source, rng.randbytes(rng.randrange(40)))
            case ["mutant"]:
                witness.mutant(port, source, token, user, rng.randrange(256), rng.randrange(256), rng.randrange(30))
            case ["wait"]:
                witness.world.wait(rng.choice([rng.random(), rng.random(), rng.random(), rng.uniform(1, 40)]))
            case ["put"]:
                witness.put(token, users(), rng.choice([None, user]))
            case ["remove"]:
                witness.remove(token)
            case ["authorize"]:
                witness.authorize(token, user)
            case ["revoke"]:
                witness.revoke(token, user)
            case ["replace"]:
                witness.replace([(rng.randrange(1, 6), users()) for _ in range(rng.randrange(5))])
        witness.check()
    assert witness.forwarded > 100, "the walk got nowhere"
