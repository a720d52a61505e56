"""The relay in pure Python: sockets around the core, in a thread of its own."""

import errno
import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock, Instant, after
from waymeet.model.relays import RelayCounters, RelayLoad, RelayPorts, RelaySpec
from waymeet.node.relay.core import RelayCore
from waymeet.node.relay.endpoints import Endpoint, endpoint, enlarge, is_ipv6
from waymeet.node.relay.engine import PATIENCE_SECONDS, Refused
from waymeet.node.relay.frames import MAX_DATAGRAM, STATE_FRAMES
from waymeet.node.relay.population import Replacement
from waymeet.node.relay.rates import NANOSECONDS
from waymeet.node.relay.reasons import DropReason, Port, Refusal
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.sessions import WantedSession, WantedUser
from waymeet.node.relay.sources import packed_address
from waymeet.node.relay.statistics import SessionStatistics, Traffic
from waymeet.node.relay.verdicts import Address, Drop, Forward, Push

log = logging.getLogger(__name__)

BATCH = 64
"""Datagrams that are read from one socket before the other one gets its turn."""
PART = 64
"""Sessions that are looked at, or changed, between two batches: about a millisecond's work."""
RESTART_SECONDS = 1.0
_CLOSED = "the relay is closed"

Result = TypeVar("Result")
_Work = Generator[None, None, Result]
"""Work in parts: datagrams pass wherever it yields."""


class PlainRelay:
    """A `RelayEngine`. The core is used by its thread alone; calls from outside are work for that thread.

    A failure is logged, and the thread goes on with the same sockets and the same sessions.
    """

    name = "python"

    def __init__(
        self,
        node: str,
        server: Sequence[socket.socket],
        client: Sequence[socket.socket],
        rules: RelayRules,
        clock: Clock,
        secret: int,
    ) -> None:
        """Takes the sockets over, which are bound and do not block. Starts at once."""
        self.ports = RelayPorts(server[0].getsockname()[1], client[0].getsockname()[1])
        self.buffer_bytes = enlarge([*server, *client])
        """The smallest of the sockets' buffers, as the system says."""
        self._node = node
        self._clock = clock
        self._core = RelayCore(rules, secret)
        self._endpoints = {
            port: [endpoint(each) for each in sockets]
            for port, sockets in ((Port.SERVER, server), (Port.CLIENT, client))
        }
        # One byte more than what passes tells a longer datagram from one that just fits.
        self._buffer = bytearray(MAX_DATAGRAM + 1)
        self._view = memoryview(self._buffer)
        self._work: deque[tuple[_Work[Any], Future[Any]]] = deque()
        self._asking = threading.Lock()
        """Held for a moment: nobody asks a relay that is closed, nor wakes it through a socket that is."""
        self._closing = threading.Event()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"relay of {node}", daemon=True)
        self._thread.start()

    def replace(self, sessions: Sequence[RelaySpec]) -> Sequence[Refused]:
        return self._ask(self._replacing([_wanted(spec) for spec in sessions]))

    def apply(self, sessions: Sequence[RelaySpec], removed: Sequence[int]) -> Sequence[Refused]:
        return self._ask(self._applying([_wanted(spec) for spec in sessions], removed))

    def counters(self, token: int) -> RelayCounters | None:
        return self._ask(_at_once(lambda: self._count(token)))

    def load(self) -> RelayLoad:
        return self._ask(self._weighing())

    def idle(self) -> Sequence[int]:
        return self._ask(self._searching(self._core.idle_sessions))

    def silent_hosts(self) -> Sequence[int]:
        return self._ask(self._searching(self._core.silent_hosts))

    def drain(self) -> None:
        self._ask(_at_once(self._drain))

    def close(self) -> None:
        with self._asking:
            if self._closing.is_set():
                return
            self._closing.set()
            self._wake()
        self._thread.join()
        for work, answer in self._work:
            work.close()
            answer.set_exception(Unavailable(_CLOSED))
        self._work.clear()
        for endpoints in self._endpoints.values():
            for each in endpoints:
                each.descriptor.close()
        self._woken.close()
        self._waker.close()

    def _ask(self, work: _Work[Result]) -> Result:
        answer: Future[Result] = Future()
        with self._asking:
            if self._closing.is_set():
                raise Unavailable(_CLOSED)
            self._work.append((work, answer))
            self._wake()
        try:
            return answer.result(PATIENCE_SECONDS)
        except TimeoutError:
            raise Unavailable(f"the relay did not answer within {PATIENCE_SECONDS:g} s") from None

    def _wake(self) -> None:
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            pass  # It has been woken so often that once more makes no difference.

    def _now(self) -> int:
        return round(self._clock.monotonic() * NANOSECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._serve()
            except Exception:
                log.exception("node %s: its relay failed and goes on in %g s", self._node, RESTART_SECONDS)
                self._closing.wait(RESTART_SECONDS)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ, self._sleep_again)
            for port, endpoints in self._endpoints.items():
                for each in endpoints:
                    selector.register(each.descriptor, selectors.EVENT_READ, partial(self._relay_waiting, port, each))
            while not self._closing.is_set():
                for key, _ in selector.select(0 if self._work else None):
                    key.data()
                if self._work:
                    self._do_part()

    def _sleep_again(self) -> None:
        self._woken.recv(4096)

    def _relay_waiting(self, port: Port, here: Endpoint) -> None:
        """Relay what has arrived, up to a batch."""
        buffer, core = self._buffer, self._core
        for _ in range(BATCH):
            try:
                length, source = here.receive(buffer)
            except BlockingIOError:
                return
            except OSError:
                continue  # News of a datagram that could not be delivered.
            verdict = core.receive(port, source, buffer, length, self._now())
            if isinstance(verdict, Forward):
                self._send(verdict.via, self._view[verdict.start : length], verdict.to)
            elif not isinstance(verdict, Drop):
                self._send_from(here, STATE_FRAMES[verdict.state], source)

    def _send(self, via: Port, datagram: bytes | memoryview, to: Address) -> None:
        endpoints = self._endpoints[via]
        here = endpoints[0]
        if len(endpoints) > 1:
            family = socket.AF_INET6 if is_ipv6(to) else socket.AF_INET
            here = next(each for each in endpoints if each.descriptor.family == family)
        self._send_from(here, datagram, to)

    def _send_from(self, here: Endpoint, datagram: bytes | memoryview, to: Address) -> None:
        try:
            here.send(datagram, to)
        except BlockingIOError:
            # Waiting for one destination would keep all others waiting: a lost datagram like any other.
            self._core.count_drop(DropReason.SEND_BUFFER_FULL)
        except OSError as error:
            is_full = error.errno == errno.ENOBUFS
            self._core.count_drop(DropReason.SEND_BUFFER_FULL if is_full else DropReason.SEND_FAILED)

    def _push(self, pushes: list[Push]) -> None:
        for push in pushes:
            self._send(push.via, STATE_FRAMES[push.state], push.to)

    def _do_part(self) -> None:
        """A part of the oldest work that was asked for."""
        work, answer = self._work[0]
        try:
            next(work)
        except StopIteration as end:
            self._work.popleft()
            answer.set_result(end.value)
        except Exception as error:
            self._work.popleft()
            answer.set_exception(error)

    def _replacing(self, wanted: Sequence[WantedSession]) -> _Work[Sequence[Refused]]:
        replacement = Replacement(wanted)
        done = False
        while not done:
            pushes: list[Push] = []
            done = self._core.step(replacement, PART, self._now(), pushes)
            self._push(pushes)
            yield
        return [Refused(token, refusal) for token, refusal in replacement.refused]

    def _applying(self, wanted: Sequence[WantedSession], removed: Sequence[int]) -> _Work[Sequence[Refused]]:
        refused: list[Refused] = []
        # Those that end make room, and their tokens may be somebody else's from now on.
        changes: list[Callable[[int, list[Push]], Refusal | None]] = [
            *(partial(self._remove, token) for token in removed),
            *(partial(self._core.put, session) for session in wanted),
        ]
        tokens = [*removed, *(session.token for session in wanted)]
        for number, (token, change) in enumerate(zip(tokens, changes, strict=True), 1):
            pushes: list[Push] = []
            refusal = change(self._now(), pushes)
            self._push(pushes)
            if refusal is not None:
                refused.append(Refused(token, refusal))
            if number % PART == 0:
                yield
        return refused

    def _remove(self, token: int, now: int, pushes: list[Push]) -> None:
        self._core.remove(token, now, pushes)

    def _count(self, token: int) -> RelayCounters | None:
        found = self._core.session(token, self._now())
        return None if found is None else self._described(found)

    def _described(self, found: SessionStatistics) -> RelayCounters:
        seen = None if found.silent_for is None else after(self._clock.now(), -found.silent_for / NANOSECONDS)
        counted = found.counters
        return _counters(counted.received, counted.to_host, counted.to_clients, counted.drops, seen)

    def _weighing(self) -> _Work[RelayLoad]:
        bindings = 0
        cursor: int | None = 0
        while cursor is not None:
            part, cursor = self._core.sessions(cursor, PART, self._now())
            bindings += sum(session.clients + session.has_host for session in part)
            yield
        totals = self._core.totals
        return RelayLoad(
            self._core.session_count,
            bindings,
            _counters(totals.received, totals.to_hosts, totals.to_clients, totals.drops),
        )

    def _searching(self, search: Callable[[int, int, int], tuple[list[int], int | None]]) -> _Work[Sequence[int]]:
        found: list[int] = []
        cursor: int | None = 0
        while cursor is not None:
            part, cursor = search(cursor, PART, self._now())
            found += part
            yield
        return found

    def _drain(self) -> None:
        self._core.draining = True


def _at_once(call: Callable[[], Result]) -> _Work[Result]:
    """Work that is done in one part."""
    yield from ()
    return call()


def _wanted(spec: RelaySpec) -> WantedSession:
    users = tuple(WantedUser(member.token, _packed(member.address)) for member in spec.members)
    return WantedSession(spec.token, users, spec.owner)


def _packed(address: str) -> bytes | None:
    try:
        return packed_address(address)
    except OSError:
        return None


def _counters(
    received: Traffic,
    to_host: Traffic,
    to_clients: Traffic,
    drops: Mapping[DropReason, int],
    last_seen_at: Instant | None = None,
) -> RelayCounters:
    return RelayCounters(
        received_packets=received.packets,
        received_bytes=received.bytes,
        sent_packets=to_host.packets + to_clients.packets,
        sent_bytes=to_host.bytes + to_clients.bytes,
        drops={reason.value: count for reason, count in drops.items()},
        last_seen_at=last_seen_at,
    )
