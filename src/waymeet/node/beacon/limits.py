"""Which datagrams a beacon sends back. Pure: knows no socket, and is told the time.

A beacon answers anybody, so the sender's address may be forged. What it sends is therefore never more than what it got,
never goes to a port where a service might answer in turn, and never becomes a stream towards one address.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from socket import AF_INET, AF_INET6, inet_pton

LONGEST_ECHO = 64
"""Bytes."""
LOWEST_SOURCE_PORT = 1024
"""Below are services. Echo (7), chargen (19), DNS (53) and NTP (123) would answer an answer, and so on for ever."""

_NANOSECONDS = 1_000_000_000
_IPV4_IN_IPV6 = b"\0" * 10 + b"\xff\xff"


class Verdict(StrEnum):
    """What is to be done with a datagram, and why."""

    ECHO = "echo"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    SERVICE_PORT = "service_port"
    SOURCE_RATE = "source_rate"
    TOTAL_RATE = "total_rate"


@dataclass(frozen=True, slots=True)
class EchoRules:
    """Datagrams per second, and how many may come at once after a quiet time."""

    source_rate: int = 20
    source_burst: int = 40
    total_rate: int = 20_000
    total_burst: int = 20_000
    highest_sources: int = 8_192
    """How many sources are remembered. Whoever was quiet for longest is forgotten first, and may burst again."""


class EchoLimits:
    """Judges datagrams one after another. Memory is bounded by `EchoRules.highest_sources`, whoever sends what."""

    def __init__(self, own_port: int, rules: EchoRules | None = None) -> None:
        self._own_port = own_port
        self._rules = rules or EchoRules()
        self._source_interval = _NANOSECONDS // self._rules.source_rate
        self._source_reserve = self._source_interval * self._rules.source_burst
        self._total_interval = _NANOSECONDS // self._rules.total_rate
        self._total_reserve = self._total_interval * self._rules.total_burst
        # Each answer takes an interval out of a reserve that fills up again with time. What is kept is the moment at
        # which the reserve will be full: one number for each source, whole nanoseconds, so that nothing is rounded.
        self._full_at: OrderedDict[bytes, int] = OrderedDict()
        self._total_full_at = 0

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._full_at)

    def judge(self, length: int, host: str, port: int, now: float) -> Verdict:
        """What to do with a datagram of `length` bytes from `host` and `port`; `now` in monotonic seconds.

        `ECHO` counts as an answer that was given.
        """
        if length == 0:
            return Verdict.EMPTY
        if length > LONGEST_ECHO:
            return Verdict.TOO_LONG
        # Another beacon, or this one itself, is an echo service too.
        if port < LOWEST_SOURCE_PORT or port == self._own_port:
            return Verdict.SERVICE_PORT
        moment = round(now * _NANOSECONDS)
        total_full_at = max(self._total_full_at, moment) + self._total_interval
        if total_full_at - moment > self._total_reserve:
            return Verdict.TOTAL_RATE
        source = source_of(host)
        full_at = max(self._full_at.get(source, 0), moment) + self._source_interval
        if full_at - moment > self._source_reserve:
            self._full_at.move_to_end(source)
            return Verdict.SOURCE_RATE
        self._total_full_at = total_full_at
        self._full_at[source] = full_at
        self._full_at.move_to_end(source)
        if len(self._full_at) > self._rules.highest_sources:
            self._full_at.popitem(last=False)
        return Verdict.ECHO


def source_of(host: str) -> bytes:
    """What counts as one source: an IPv4 address, or an IPv6 /64, all of which one machine commonly has to itself."""
    if ":" not in host:
        return inet_pton(AF_INET, host)
    packed = inet_pton(AF_INET6, host.partition("%")[0])
    # On a socket for both families; their first half is the same for all of them.
    return packed[12:] if packed.startswith(_IPV4_IN_IPV6) else packed[:8]
