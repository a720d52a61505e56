"""Ports for tests. Whoever chooses one now and binds it later reserves it here: no other test, nor another run, takes it.

A window is reserved by an abstract socket of its name, which the kernel removes with the process that holds it.
"""

import random
import socket
from types import TracebackType
from typing import Self

from tests.polling import eventually

# Below the ports that the kernel gives to outgoing connections, those that nodes give to servers by default, and those
# that beacons choose from.
_FIRST, _LAST = 10_000, 28_000
_SIZE = 200


class PortWindow:
    """Some hundred ports of this machine that are the owner's until it releases them."""

    def __init__(self) -> None:
        self._lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ports = eventually(self._reserve, every=0.1)
        self._next = 0

    def _reserve(self) -> range:
        starts = list(range(_FIRST, _LAST - _SIZE + 1, _SIZE))
        # Not always the same ones: connections of the last owner may linger there for a minute.
        random.shuffle(starts)
        for start in starts:
            try:
                self._lock.bind(f"\0waymeet-tests-ports-{start}")
            except OSError:
                continue
            return range(start, start + _SIZE)
        return range(0)

    def take(self) -> int:
        """One of them, each time another, that nothing listens on."""
        while True:
            port = self.ports[self._next]
            self._next += 1
            with socket.socket() as probe:
                # As servers do: what lingers of an earlier run's connections is no hindrance.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            return port

    def release(self) -> None:
        """Leave them to others. Repeatable."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
