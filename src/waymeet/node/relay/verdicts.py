"""What is to be done about a datagram."""

from dataclasses import dataclass
from typing import Any

from waymeet.node.relay.reasons import DropReason, Port, State

Address = tuple[Any, ...]
"""Where a peer is: IP address as text, port, and whatever else the sockets need to reach it; all of it tells peers apart."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the datagram, which has been rewritten, from byte `start` to its end."""

    to: Address
    via: Port
    """The port to send it from."""
    start: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this state to where the datagram came from, from the port that it came to."""

    state: State


@dataclass(frozen=True, slots=True)
class Refuse:
    """Likewise; it was refused. `reason` is what is counted, which says more than strangers are told."""

    state: State
    reason: DropReason


@dataclass(frozen=True, slots=True)
class Drop:
    """Send nothing."""

    reason: DropReason


Verdict = Forward | Answer | Refuse | Drop
"""Whatever is sent is shorter than what came."""


@dataclass(frozen=True, slots=True)
class Push:
    """A state frame that nobody asked for: the answer to a change."""

    to: Address
    via: Port
    state: State
