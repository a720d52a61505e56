"""A relay's core with a clock that the test turns, and people around it."""

from collections.abc import Iterable
from dataclasses import dataclass

from waymeet.node.relay.core import RelayCore
from waymeet.node.relay.frames import STATE_FRAMES
from waymeet.node.relay.population import Replacement
from waymeet.node.relay.rates import NANOSECONDS
from waymeet.node.relay.reasons import DropReason, Port, Refusal, State
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.sessions import WantedSession, WantedUser
from waymeet.node.relay.statistics import SessionStatistics
from waymeet.node.relay.verdicts import Address, Answer, Drop, Forward, Push, Refuse, Verdict

SESSION = 0xD0A6C24D
HOST = 0x014F7C1E
A = 2**32 - 1
B = 7

HOST_HERE = ("192.0.2.1", 1000)
ALICE = ("192.0.2.2", 2000)
BOB = ("192.0.2.3", 3000)
STRANGER = ("203.0.113.9", 9000)


@dataclass(frozen=True)
class Sent:
    """What came out of the relay."""

    to: Address
    via: Port
    content: bytes


class World:
    def __init__(self, rules: RelayRules | None = None, *, told: bool = True) -> None:
        """The relay of the contract's examples: one session with a host and the clients A and B, nobody of whom has
        spoken. Or one that nobody has `told` anything.
        """
        self.core = RelayCore(rules or RelayRules(), secret=42)
        self.now = NANOSECONDS
        self.pushes: list[Push] = []
        self.verdict: Verdict | None = None
        if told:
            self.replace([session(SESSION, [HOST, A, B])])

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * NANOSECONDS)

    def replace(self, wanted: Iterable[WantedSession]) -> list[tuple[int, Refusal]]:
        replacement = Replacement(list(wanted))
        while not self.core.step(replacement, 2, self.now, self.pushes):
            pass
        return replacement.refused

    def put(self, wanted: WantedSession) -> Refusal | None:
        return self.core.put(wanted, self.now, self.pushes)

    def remove(self, token: int) -> None:
        self.core.remove(token, self.now, self.pushes)

    def revoke(self, token: int, user_token: int) -> None:
        self.core.revoke(token, user_token, self.now, self.pushes)

    def send(self, port: Port, source: Address, datagram: bytes) -> Sent | None:
        """Pass a datagram in; what comes out, having checked what must hold of everything that does."""
        content = bytearray(datagram)
        self.verdict = self.core.receive(port, source, content, len(datagram), self.now)
        assert len(content) == len(datagram)
        match self.verdict:
            case Forward(to, via, start):
                assert via is not port
                sent = Sent(to, via, bytes(content[start:]))
            case Answer(state) | Refuse(state, _):
                sent = Sent(source, port, STATE_FRAMES[state])
            case Drop(_):
                return None
            case _:
                raise AssertionError(f"{self.verdict} is no verdict")
        assert len(sent.content) < len(datagram), "an answer must be shorter than its question"
        return sent

    @property
    def dropped(self) -> DropReason | None:
        """Why the last datagram went no further."""
        return self.verdict.reason if isinstance(self.verdict, Drop | Refuse) else None

    def ping(self, port: Port, source: Address, user_token: int, session_token: int = SESSION) -> State | None:
        """The state that a ping is answered with."""
        sent = self.send(port, source, ping(session_token, user_token))
        if sent is None:
            return None
        assert (sent.to, sent.via, len(sent.content), sent.content[0]) == (source, port, 2, 1)
        return State(sent.content[1])

    def statistics(self, token: int = SESSION) -> SessionStatistics:
        found = self.core.session(token, self.now)
        assert found is not None
        return found


def session(token: int, users: Iterable[int], host: int | None = None) -> WantedSession:
    return WantedSession(token, tuple(WantedUser(user) for user in users), host)


def ping(session_token: int, user_token: int) -> bytes:
    return _header(session_token, user_token, 1)


def data(session_token: int, user_token: int, payload: bytes) -> bytes:
    return _header(session_token, user_token, 2) + payload


def data_to(session_token: int, user_token: int, connection: int, payload: bytes) -> bytes:
    return data(session_token, user_token, connection.to_bytes(4, "little") + payload)


def _header(session_token: int, user_token: int, kind: int) -> bytes:
    return user_token.to_bytes(4, "little") + session_token.to_bytes(4, "little") + bytes([kind])
