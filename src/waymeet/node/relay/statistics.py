"""What a relay counts."""

from collections import Counter
from dataclasses import dataclass, field

from waymeet.node.relay.reasons import DropReason, State


@dataclass(slots=True)
class Traffic:
    """Datagrams, and the bytes of their UDP payloads."""

    packets: int = 0
    bytes: int = 0

    def add(self, length: int) -> None:
        self.packets += 1
        self.bytes += length


@dataclass(slots=True)
class Counters:
    """What happened in one session since the relay knows it."""

    received: Traffic = field(default_factory=Traffic)
    """Whatever named this session, good or bad."""
    to_host: Traffic = field(default_factory=Traffic)
    to_clients: Traffic = field(default_factory=Traffic)
    pings: int = 0
    """Answered ones."""
    drops: Counter[DropReason] = field(default_factory=Counter)


@dataclass(slots=True)
class Totals:
    """What happened altogether, including sessions that are gone and strangers."""

    received: Traffic = field(default_factory=Traffic)
    to_hosts: Traffic = field(default_factory=Traffic)
    to_clients: Traffic = field(default_factory=Traffic)
    states: Counter[State] = field(default_factory=Counter)
    """State frames sent, asked for or pushed."""
    drops: Counter[DropReason] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """One session as it is now. Times in nanoseconds."""

    token: int
    users: int
    clients: int
    """How many of them have spoken as clients within the client idle timeout."""
    has_host: bool
    """One that has not timed out."""
    age: int
    silent_for: int | None
    """How long ago a user last spoke; `None`: none ever did."""
    idle: bool
    """Silent for so long that it should be deleted."""
    counters: Counters
