"""TCP echo: the time to connect is the measurement; a few short messages may follow it."""

import selectors
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from waymeet.node.beacon.limits import LONGEST_ECHO, source_of

HIGHEST_CONNECTIONS = 128
"""Further ones are accepted and closed at once: connecting took as long as it takes."""
HIGHEST_CONNECTIONS_PER_SOURCE = 8
"""So that nobody holds all of them alone. Further ones are dealt with likewise: behind a translated address are many
players, and those beyond have measured how long connecting takes all the same."""
EXCHANGES = 10
FAREWELL_READS = 10
"""What comes after the last exchange is thrown away, this many times: closing over unread bytes would tear up the
answers that are still under way."""
IDLE_SECONDS = 5.0
ACCEPT_BATCH = 16


@dataclass(slots=True)
class _Visit:
    connection: socket.socket
    source: bytes
    deadline: float
    reads: int = 0


class TcpEcho:
    """Every connection of one beacon. Registers with `selector` a call for whatever becomes readable."""

    def __init__(self, selector: selectors.BaseSelector, monotonic: Callable[[], float]) -> None:
        self._selector = selector
        self._monotonic = monotonic
        # By descriptor, the one that will be idle for too long first comes first.
        self._visits: OrderedDict[int, _Visit] = OrderedDict()
        # How many of them each source has; no source has an entry of 0.
        self._held: Counter[bytes] = Counter()

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._visits)

    def accept_waiting(self, listener: socket.socket) -> bool:
        """Take new connections; whether a whole batch was there, so that there may be more."""
        for _ in range(ACCEPT_BATCH):
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return False
            except OSError:
                return True  # The process has no descriptor left, or the visitor went before we opened.
            self._welcome(connection, source_of(address[0]))
        return True

    def close_idle(self) -> None:
        """Close the connections on which nothing has come for `IDLE_SECONDS`."""
        now = self._monotonic()
        while self._visits:
            visit = next(iter(self._visits.values()))
            if visit.deadline > now:
                return
            self._close(visit)

    def close_all(self) -> None:
        for visit in list(self._visits.values()):
            self._close(visit)

    def _welcome(self, connection: socket.socket, source: bytes) -> None:
        if len(self._visits) >= HIGHEST_CONNECTIONS or self._held[source] >= HIGHEST_CONNECTIONS_PER_SOURCE:
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        visit = _Visit(connection, source, self._monotonic() + IDLE_SECONDS)
        self._visits[connection.fileno()] = visit
        self._held[source] += 1
        self._selector.register(connection, selectors.EVENT_READ, partial(self._read, visit))

    def _read(self, visit: _Visit) -> bool:
        """One exchange. Never more than one at a time, so that no connection keeps the others waiting."""
        try:
            received = visit.connection.recv(LONGEST_ECHO)
        except BlockingIOError:
            return False
        except OSError:
            received = b""
        visit.reads += 1
        if not received or visit.reads > EXCHANGES + FAREWELL_READS:
            self._close(visit)
        elif visit.reads <= EXCHANGES:
            self._echo(visit, received)
        return False

    def _echo(self, visit: _Visit, received: bytes) -> None:
        visit.deadline = self._monotonic() + IDLE_SECONDS
        self._visits.move_to_end(visit.connection.fileno())
        try:
            # So few bytes always fit the kernel's buffer, unless the visitor plays tricks with its window.
            if visit.connection.send(received) < len(received):
                self._close(visit)
            elif visit.reads == EXCHANGES:
                visit.connection.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(visit)

    def _close(self, visit: _Visit) -> None:
        del self._visits[visit.connection.fileno()]
        self._held[visit.source] -= 1
        if not self._held[visit.source]:
            del self._held[visit.source]
        self._selector.unregister(visit.connection)
        visit.connection.close()
