"""Wait for something to become true, with a deadline. The only waiting that tests do."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")

GENEROUS_SECONDS = 100.0
"""Ends a hang, also on a machine that is slow and loaded; nothing is measured with it. Below the limit of a whole test."""


def eventually(check: Callable[[], Result], *, seconds: float = GENEROUS_SECONDS, every: float = 0.02) -> Result:
    """The first true result of `check`; an `AssertionError` with the last one when the deadline passes."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds:g} s; the last answer was {result!r}")
        time.sleep(every)
    return result


async def eventually_async(
    check: Callable[[], Awaitable[Result]], *, seconds: float = GENEROUS_SECONDS, every: float = 0.02
) -> Result:
    """`eventually` for a coroutine function."""
    deadline = time.monotonic() + seconds
    while not (result := await check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds:g} s; the last answer was {result!r}")
        await asyncio.sleep(every)
    return result
