"""Ports of this machine, given to servers one at a time."""

import random
import socket
from collections.abc import Callable, Iterable

DEFAULT_PORTS = range(30_000, 32_768)


class NoPortLeft(Exception):
    """Every port of the range is given away, or in use by a program that is not ours."""


class PortAllocator:
    """Hands out ports, none twice while it is taken, each free for UDP and TCP at that moment.

    All drivers of one process share one. It goes round a range, from a random port on: a port that was given back rests
    as long as possible, and two processes on one machine seldom try the same.
    """

    def __init__(self, rng: random.Random, is_free: Callable[[int], bool] | None = None) -> None:
        self._rng = rng
        self._is_free = is_free or free_on_this_machine
        self._next = 0
        self._taken: set[int] = set()

    def take(self, count: int, ports: range) -> list[int]:
        """`count` ports of `ports`, or none at all: `NoPortLeft`."""
        found: list[int] = []
        start = ports.index(self._next) if self._next in ports else self._rng.randrange(max(1, len(ports)))
        for step in range(len(ports)):
            if len(found) == count:
                break
            port = ports[(start + step) % len(ports)]
            if port not in self._taken and self._is_free(port):
                found.append(port)
        if len(found) < count:
            raise NoPortLeft(f"{count} needed, but {len(found)} left in {ports.start} to {ports.stop - 1}")
        if found:
            self._next = found[-1] + 1
        self._taken.update(found)
        return found

    def reserve(self, ports: Iterable[int]) -> None:
        """Mark ports that a running server already has."""
        self._taken.update(ports)

    def release(self, ports: Iterable[int]) -> None:
        """Give ports back."""
        self._taken.difference_update(ports)


def free_on_this_machine(port: int) -> bool:
    """Whether nothing is bound to `port`, on any address, for UDP or TCP; lingering TCP connections count as bound."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for family, wildcard in _WILDCARDS:
            with socket.socket(family, kind) as endpoint:
                if family == socket.AF_INET6:
                    endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    endpoint.bind((wildcard, port))
                except OSError:
                    return False
    return True


_WILDCARDS = [(socket.AF_INET, "0.0.0.0")]  # noqa: S104 - bound for a moment, to learn whether anybody else is
if socket.has_dualstack_ipv6():
    _WILDCARDS.append((socket.AF_INET6, "::"))
