"""Hosts and clients on sockets of their own, as their datagrams look on the wire (relay wire, section 3)."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from waymeet.cli.relay.load.plan import PlayedSession
from waymeet.cli.relay.load.tally import Tally, Track
from waymeet.client import RelayState

DATAGRAMS_AT_ONCE = 64
"""Read from one socket before the others get their turn."""
BUFFER_BYTES = 1 << 20
"""A host gets what all its clients send, while this program is busy elsewhere."""
STAMP_BYTES = 8
_LONGEST_FRAME = 2048
_PING, _DATA = b"\1", b"\2"
_TO_HOST, _TO_CLIENT = 5, 1
"""Bytes before the payload in a frame for a host, and for a client."""

_tokens = Struct("<II")
# Which test, session and client; which of its datagrams, and when it was sent.
_mark = Struct(f"<{STAMP_BYTES}sIIQd")
_connection = Struct("<I")


@dataclass(frozen=True, slots=True)
class Rules:
    """What all players of a test have in common."""

    stamp: bytes
    """Random; tells this test's datagrams from those of others."""
    padding: bytes
    """What follows the mark in every payload."""
    rounds: int
    """Datagrams of each client."""
    monotonic: Callable[[], float]


class _Player(ABC):
    def __init__(self, address: tuple[str, int], session_token: int, token: int, rules: Rules, tally: Tally) -> None:
        """`OSError` when there is no way to the address, or no room for one more socket."""
        family, kind, protocol, _, found = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, kind, protocol)
        self.socket.setblocking(False)
        self.socket.connect(found)
        self.state = RelayState.DISCONNECTED
        """What the relay said last."""
        self._header = _tokens.pack(token, session_token)
        self._data = self._header + _DATA
        self._rules = rules
        self._tally = tally

    def ping(self) -> None:
        self._transmit(self._header + _PING)

    def read(self) -> None:
        """Take what has come."""
        receive = self.socket.recv
        for _ in range(DATAGRAMS_AT_ONCE):
            try:
                frame = receive(_LONGEST_FRAME)
            except BlockingIOError:
                return
            except OSError:
                continue  # News of a datagram that nobody was there for.
            if frame[:1] == _DATA:
                self._take(frame)
            elif len(frame) == 2 and frame[:1] == _PING:
                self.state = RelayState(frame[1])

    @abstractmethod
    def _take(self, frame: bytes) -> None:
        """What a DATA frame means to this side."""

    def _mark_in(self, frame: bytes, start: int) -> tuple[int, int, int, float] | None:
        """Session, client, number and time of the payload that starts there; `None` when it is not of this test."""
        rules = self._rules
        if len(frame) < start + _mark.size:
            self._tally.foreign += 1
            return None
        stamp, session, client, number, sent_at = _mark.unpack_from(frame, start)
        if stamp != rules.stamp:
            self._tally.foreign += 1
            return None
        if frame[start + _mark.size :] != rules.padding:
            self._tally.damaged += 1
            return None
        return session, client, number, sent_at

    def _transmit(self, datagram: bytes) -> bool:
        try:
            self.socket.send(datagram)
        except OSError:
            # Full buffers, or news of an earlier datagram that nobody was there for.
            return False
        return True


class Host(_Player):
    """Sends back whatever it gets."""

    def __init__(self, session: PlayedSession, index: int, rules: Rules, tally: Tally) -> None:
        super().__init__(
            (session.address, session.server_port), session.session_token, session.host_token, rules, tally
        )
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._index = index
        self._clients: dict[bytes, int] = {}
        """Who speaks on which connection. Not more of them than clients, each of whom has one."""

    def _take(self, frame: bytes) -> None:
        mark = self._mark_in(frame, _TO_HOST)
        if mark is None:
            return
        session, client, _, _ = mark
        connection = frame[1:_TO_HOST]
        # A number that two clients share, or a client of another session: an answer would go to the wrong one.
        if session != self._index or self._clients.setdefault(connection, client) != client:
            self._tally.misdelivered += 1
            return
        self._tally.reached_host += 1
        if not self._transmit(self._data + frame[1:]):
            self._tally.unsent += 1


class Client(_Player):
    """Sends numbered datagrams and waits for them to come back."""

    def __init__(self, session: PlayedSession, index: int, number: int, rules: Rules, tally: Tally) -> None:
        """Client `number` of session `index`."""
        super().__init__(
            (session.address, session.client_port), session.session_token, session.client_tokens[number], rules, tally
        )
        self._index = index
        self._number = number
        self._track = Track(tally, rules.rounds)

    def say(self, number: int) -> None:
        """Send datagram `number`."""
        mark = _mark.pack(self._rules.stamp, self._index, self._number, number, self._rules.monotonic())
        if self._transmit(self._data + mark + self._rules.padding):
            self._tally.sent += 1
        else:
            self._tally.unsent += 1

    def _take(self, frame: bytes) -> None:
        mark = self._mark_in(frame, _TO_CLIENT)
        if mark is None:
            return
        session, client, number, sent_at = mark
        if session != self._index or client != self._number:
            self._tally.misdelivered += 1
            return
        self._track.came(number, self._rules.monotonic() - sent_at)
