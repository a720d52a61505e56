"""Asking again and again, politely, until something has happened."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from waymeet.client.calling.connection import Connection
from waymeet.client.calling.plan import Pause, Plan
from waymeet.client.errors import RateLimited, StillWaiting, Unavailable, Unreachable

Value = TypeVar("Value")


class WithStatus(Protocol):
    @property
    def status(self) -> str: ...


Watched = TypeVar("Watched", bound=WithStatus)

FIRST_INTERVAL_SECONDS = 0.2
LONGEST_INTERVAL_SECONDS = 2.0
_GROWTH = 1.5


def poll(
    connection: Connection, ask: Callable[[], Plan[Value]], enough: Callable[[Value], bool], timeout: float, what: str
) -> Plan[Value]:
    """The first answer of `ask` for which `enough` is true; asks at least once, and once more when `timeout` seconds
    are over.

    A server that is away or overloaded for a moment is asked again, after what it asks for. `StillWaiting` when the
    time is over; whatever else `ask` and `enough` raise passes through.
    """
    deadline = connection.monotonic() + timeout
    interval = FIRST_INTERVAL_SECONDS
    while True:
        trouble: Exception | None = None
        pause = interval
        try:
            value = yield from ask()
        except Unreachable as problem:
            trouble = problem
        except (RateLimited, Unavailable) as problem:
            trouble = problem
            pause = max(interval, problem.retry_after or 0.0)
        else:
            if enough(value):
                return value
        left = deadline - connection.monotonic()
        if left <= 0:
            raise StillWaiting(
                f"{what} was not there within {timeout:g} s" + (f"; last: {trouble}" if trouble else "")
            ) from trouble
        yield Pause(min(pause, left))
        interval = min(interval * _GROWTH, LONGEST_INTERVAL_SECONDS)


def poll_status(
    connection: Connection,
    ask: Callable[[], Plan[Watched]],
    ready: Callable[[Watched], bool],
    failure: Callable[[Watched], Exception | None],
    timeout: float,
    what: str,
    on_change: Callable[[Watched], None] | None,
) -> Plan[Watched]:
    """`poll` until the object is ready, calling `on_change` with it whenever its status has changed.

    What `failure` makes of an object that cannot become ready any more is raised.
    """
    last_status: str | None = None

    def enough(value: Watched) -> bool:
        nonlocal last_status
        if value.status != last_status:
            last_status = value.status
            if on_change is not None:
                on_change(value)
        if (error := failure(value)) is not None:
            raise error
        return ready(value)

    return poll(connection, ask, enough, timeout, what)
