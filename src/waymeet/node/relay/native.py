"""The relay in Rust: the same decisions in threads of its own, which Python neither moves datagrams for nor holds up."""

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from waymeet import _relay
from waymeet.model.errors import Invalid, Unavailable
from waymeet.model.instant import MICROSECONDS, Clock, Instant
from waymeet.model.relays import RelayCounters, RelayLoad, RelayPorts, RelaySpec
from waymeet.node.relay.engine import PATIENCE_SECONDS, Refused
from waymeet.node.relay.rules import RelayRules

log = logging.getLogger(__name__)

_NANOSECONDS_PER_INSTANT = 1_000_000_000 // MICROSECONDS


class NativeRelay:
    """A `RelayEngine`. It needs `waymeet._relay`; `choice.why_not_native` says whether that is there."""

    name = "native"

    def __init__(
        self,
        node: str,
        server: Sequence[socket.socket],
        client: Sequence[socket.socket],
        rules: RelayRules,
        clock: Clock,
        secret: int,
        *,
        workers: int = 1,
        spin_microseconds: int = 0,
    ) -> None:
        """Takes the sockets over, which are bound, those of one worker after those of another (`bind_udp`). Starts at once.

        `clock` tells when sessions were seen; timers run by the machine's own. Raises `Invalid` for what the native part
        does not know or the system cannot do, `OSError` when it refuses; then the sockets stay the caller's.
        """
        self.ports = RelayPorts(server[0].getsockname()[1], client[0].getsockname()[1])
        self._node = node
        self._clock = clock
        with _errors():
            self._running = _relay.start(
                asdict(rules),
                list(zip(_shared(server, workers), _shared(client, workers), strict=True)),
                secret=secret,
                patience_seconds=PATIENCE_SECONDS,
                spin_microseconds=spin_microseconds,
            )
            facts = self._running.facts()
        for each in (*server, *client):
            each.close()
        self.buffer_bytes = min(size for each in facts for size in (each.receive_buffer, each.send_buffer))
        """The smallest of the sockets' buffers, as the system says."""

    def replace(self, sessions: Sequence[RelaySpec]) -> Sequence[Refused]:
        with _errors():
            return _refused(self._running.replace(sessions))

    def apply(self, sessions: Sequence[RelaySpec], removed: Sequence[int]) -> Sequence[Refused]:
        with _errors():
            return _refused(self._running.apply(sessions, removed))

    def counters(self, token: int) -> RelayCounters | None:
        with _errors():
            found = self._running.counters(token)
        if found is None:
            return None
        silent = found.silent_nanoseconds
        seen = None if silent is None else Instant(self._clock.now() - silent // _NANOSECONDS_PER_INSTANT)
        return _counters(found, seen)

    def load(self) -> RelayLoad:
        with _errors():
            # A node weighs its relay with every heartbeat.
            for failure in self._running.failures():
                log.error("node %s: its relay failed and goes on: %s", self._node, failure)
            load = self._running.load()
        return RelayLoad(load.sessions, load.bindings, _counters(load.counters))

    def idle(self) -> Sequence[int]:
        with _errors():
            return self._running.idle()

    def silent_hosts(self) -> Sequence[int]:
        with _errors():
            return self._running.silent_hosts()

    def drain(self) -> None:
        with _errors():
            self._running.drain()

    def close(self) -> None:
        self._running.close()


@contextmanager
def _errors() -> Iterator[None]:
    """What the native part raises, in the words of everybody else."""
    try:
        yield
    except (_relay.NotAnswering, _relay.Failed, _relay.Stopped) as error:
        raise Unavailable(str(error)) from None
    except _relay.Invalid as error:
        raise Invalid({"relay": str(error)}) from None


def _shared(sockets: Sequence[socket.socket], workers: int) -> list[list[int]]:
    """The descriptors of each worker's sockets."""
    each = len(sockets) // workers
    return [[one.fileno() for one in sockets[first : first + each]] for first in range(0, len(sockets), each)]


def _refused(named: Sequence[tuple[int, str]]) -> Sequence[Refused]:
    return [Refused(token, reason) for token, reason in named]


def _counters(counted: _relay.Counters, seen: Instant | None = None) -> RelayCounters:
    return RelayCounters(
        received_packets=counted.received_packets,
        received_bytes=counted.received_bytes,
        sent_packets=counted.sent_packets,
        sent_bytes=counted.sent_bytes,
        drops=counted.drops,
        last_seen_at=seen,
    )
