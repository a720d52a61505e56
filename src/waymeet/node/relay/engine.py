"""What a node needs of a relay at work, however it is built."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from waymeet.model.relays import RelayCounters, RelayLoad, RelayPorts, RelaySpec

PATIENCE_SECONDS = 30.0
"""How long a call waits for the relay's thread: it answers between two batches of datagrams, so that longer means that the
machine gives it no time to run."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A session that the relay does not serve, though it is wanted."""

    token: int
    reason: str
    """Out of a closed set, such as `too_many_sessions`."""


class RelayEngine(Protocol):
    """A relay that receives and sends from the moment it exists until `close`. Sessions are named by their tokens.

    Every call may come from any thread and blocks its caller, not the datagrams: it returns when what was asked for is in
    force. All are repeatable. Each raises `Unavailable` when the relay does not answer within `PATIENCE_SECONDS`, or is
    closed.
    """

    name: str
    """Which one it is, for logs."""
    ports: RelayPorts
    buffer_bytes: int
    """The smallest of its sockets' buffers, as the system says."""

    def replace(self, sessions: Sequence[RelaySpec]) -> Sequence[Refused]:
        """Serve exactly these sessions; those that it serves already keep their connections. Until this was first called,
        whoever speaks is told Checking, afterwards strangers are told Invalid. Returns those for which there is no room.
        """

    def apply(self, sessions: Sequence[RelaySpec], removed: Sequence[int]) -> Sequence[Refused]:
        """Serve no longer the sessions `removed`, and these `sessions` as they are now. Returns those for which there is no
        room.
        """

    def counters(self, token: int) -> RelayCounters | None:
        """What was counted for one session; `None` when the relay does not have it."""

    def load(self) -> RelayLoad:
        """The relay as a whole."""

    def idle(self) -> Sequence[int]:
        """Sessions that nobody has used for so long that they should end."""

    def silent_hosts(self) -> Sequence[int]:
        """Sessions whose host has been silent for longer than the owner timeout (relay wire, 5.7)."""

    def drain(self) -> None:
        """From now on pings are answered with Error: the relay is about to go away. Traffic still flows."""

    def close(self) -> None:
        """Relay nothing more and give the ports back."""
