"""What a call does, step by step, without doing it.

A plan is a generator that yields each step to take (send this, wait so long), is sent back what came of it, and
returns the call's result. It knows neither sockets nor `async`, so that the blocking and the awaiting client carry
out the same plans.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from waymeet.client.calling.address import Address

Result = TypeVar("Result")
ResultOut = TypeVar("ResultOut", covariant=True)


@dataclass(frozen=True, slots=True)
class Transmission:
    """Send this request; what comes back is an `httpx.Response`, or `Unreachable` is thrown in."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds; nothing comes back."""

    seconds: float


Plan: TypeAlias = Generator[Transmission | Pause, Any, Result]


@dataclass(frozen=True, slots=True)
class Opening:
    """Send this request, in place of the one before; what comes back is an `httpx.Response`, or `Unreachable` is thrown
    in. The body of a success is yet to come, that of an error has been read.
    """

    transmission: Transmission
    silence_seconds: float
    """Nothing for so long means that nobody is there any more."""


@dataclass(frozen=True, slots=True)
class NextPart:
    """Wait for more of the body; what comes back is `bytes`, `None` at its end, or `Unreachable` is thrown in."""


@dataclass(frozen=True, slots=True)
class Emission(Generic[ResultOut]):
    """Something for whoever iterates; nothing comes back, and not before the next is asked for."""

    value: ResultOut


StreamStep: TypeAlias = Opening | NextPart | Pause | Emission[Result]
StreamPlan: TypeAlias = Generator[StreamStep[Result], Any, None]
"""What an iteration over an answer that goes on does, step by step."""


@dataclass(frozen=True, slots=True)
class Call(Generic[ResultOut]):
    """One request of the contract, and how to read its answer."""

    method: str
    path: str
    """Below the server's base URL, already quoted."""
    read: Callable[[bytes], ResultOut]
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    repeatable: bool = False
    """Made twice, it has the same effect as once."""
    address: Address | None = None
    """Where to, and as whom, when not as the connection says."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
