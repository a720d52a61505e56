"""The relay as a native module: threads of its own that move datagrams whatever Python does.

Made of the crates in `relay/`, where there was a cargo to build it. A handle with coarse calls: datagrams never pass through
Python. Each call may come from any thread; while it waits for the relay, other Python threads run.

    RelayError
    ├── Invalid         something was asked for that cannot be; the message names it
    ├── Failed          the relay came across a mistake of its own, and goes on
    ├── NotAnswering    no answer within the relay's patience; what was asked for may still be done
    └── Stopped         the relay is closed

`start` raises `OSError` where the system refuses.
"""

from collections.abc import Sequence
from typing import Any, Protocol, final

__all__ = [
    "Counters",
    "Failed",
    "Invalid",
    "Load",
    "NotAnswering",
    "Relay",
    "RelayError",
    "SocketFacts",
    "Stopped",
    "build_info",
    "drop_reasons",
    "start",
]

class RelayError(Exception):
    """Base of what this module raises."""

class Invalid(RelayError):
    """Something was asked for that cannot be; the message names it."""

class Failed(RelayError):
    """The relay came across a mistake of its own and goes on; `failures` says more."""

class NotAnswering(RelayError):
    """No answer came in time. What was asked for may still be done."""

class Stopped(RelayError):
    """The relay is closed."""

class _Member(Protocol):
    @property
    def token(self) -> int: ...
    @property
    def address(self) -> str: ...

class _Spec(Protocol):
    """A session, such as a `RelaySpec`."""

    @property
    def token(self) -> int: ...
    @property
    def members(self) -> Sequence[_Member]: ...
    @property
    def owner(self) -> int | None: ...

@final
class Counters:
    """What was counted for a session, or for all that ever was. Counters only grow."""

    @property
    def received_packets(self) -> int: ...
    @property
    def received_bytes(self) -> int: ...
    @property
    def sent_packets(self) -> int: ...
    @property
    def sent_bytes(self) -> int: ...
    @property
    def drops(self) -> dict[str, int]:
        """Datagrams by reason (`drop_reasons`), without those that have not occurred."""

    @property
    def silent_nanoseconds(self) -> int | None:
        """How long ago a user of the session last spoke; `None`: none ever did, or these are the counters of all."""

@final
class Load:
    """A relay as a whole."""

    @property
    def sessions(self) -> int: ...
    @property
    def bindings(self) -> int:
        """Addresses that are bound now, hosts and clients."""

    @property
    def counters(self) -> Counters: ...

@final
class SocketFacts:
    """What became of a socket; bytes as the system counts, which on Linux is twice what was asked for."""

    @property
    def receive_buffer(self) -> int: ...
    @property
    def send_buffer(self) -> int: ...

@final
class Relay:
    """A relay at work, made by `start`. Stops when it is forgotten.

    Calls but `close` raise `NotAnswering`, `Failed` or `Stopped`; those that take tokens or sessions raise `Invalid` for a
    token of 0, and `OverflowError` beyond 32 bits. All are repeatable.
    """

    def replace(self, sessions: Sequence[_Spec]) -> list[tuple[int, str]]:
        """Serve exactly these sessions; those that it serves already keep their connections. The tokens of those for which
        there is no room, each with the reason.
        """

    def apply(self, sessions: Sequence[_Spec], removed: Sequence[int]) -> list[tuple[int, str]]:
        """Serve no longer the sessions of the tokens `removed`, and these `sessions` as they are now. The tokens of those
        for which there is no room, each with the reason.
        """

    def counters(self, token: int) -> Counters | None:
        """What was counted for one session; `None` when the relay does not have it."""

    def load(self) -> Load:
        """The relay as a whole."""

    def idle(self) -> list[int]:
        """Tokens of the sessions that nobody has used for so long that they should end."""

    def silent_hosts(self) -> list[int]:
        """Tokens of the sessions whose host has been silent for longer than the owner timeout."""

    def drain(self) -> None:
        """From now on pings are answered with Error: the relay is about to go away. Traffic still flows."""

    def facts(self) -> list[SocketFacts]:
        """Of each of its sockets."""

    def failures(self) -> list[str]:
        """The mistakes of its own that it has come across since this was last asked; of many, the latest."""

    def close(self) -> None:
        """Relay nothing more and close the sockets. When this returns, its threads have ended; who waits for an answer gets
        `Stopped`.
        """

def start(
    rules: dict[str, Any],
    sockets: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    secret: int,
    patience_seconds: float,
    spin_microseconds: int = 0,
) -> Relay:
    """A relay that receives and sends from now on, and tells whoever speaks Checking until the first `replace`.

    `rules` are those of `RelayRules` as nested dictionaries, which are emptied: all of them and no others, else `Invalid`.
    `sockets` are the descriptors of bound UDP sockets, for each worker thread those for hosts and those for clients; the
    relay works on duplicates, so that the caller closes its own. Several workers (Linux only) need SO_REUSEPORT on all,
    and come in the order in which their sockets were bound. `secret` is a random number of 64 bits that nobody outside may
    know. For `spin_microseconds` a worker looks for more before it sleeps.
    """

def drop_reasons() -> list[str]:
    """Every reason for which datagrams are dropped."""

def build_info() -> dict[str, str]:
    """`version`, `profile` (`release` or `debug`), `target` and `compiler` of this module."""
