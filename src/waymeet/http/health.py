"""Whether the process is alive, and whether it can serve."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from msgspec import Struct

from waymeet.http.call import Answer, Call

Check = Callable[[], Awaitable[str | None]]
"""A readiness check: `None` when all is well, otherwise what is missing, in words for the operator."""

_log = structlog.get_logger(__name__)


class Alive(Struct, frozen=True):
    status: str


class Readiness(Struct, frozen=True):
    ready: bool
    checks: dict[str, str]
    """For each check "ok", or what is missing."""


class Health:
    """The answers of `/healthz` and `/readyz`. A check that raises or takes longer than `seconds` has failed.

    `notices` are checks that only tell: what they find is shown, and the server is ready all the same.
    """

    def __init__(self, checks: Mapping[str, Check], notices: Mapping[str, Check], seconds: float) -> None:
        self._checks = {**checks, **notices}
        self._decisive = frozenset(checks)
        self._seconds = seconds

    async def alive(self, call: Call[None, None]) -> Alive:
        """Always: a process that can answer is alive."""
        return Alive("ok")

    async def ready(self, call: Call[None, None]) -> Answer:
        """200 when every check that decides passes, 503 otherwise; all are asked at once."""
        found = await asyncio.gather(*(self._ask(name, check) for name, check in self._checks.items()))
        states = dict(zip(self._checks, found, strict=True))
        ready = all(states[name] == "ok" for name in self._decisive)
        return Answer(200 if ready else 503, Readiness(ready, states))

    async def _ask(self, name: str, check: Check) -> str:
        try:
            async with asyncio.timeout(self._seconds):
                return await check() or "ok"
        except TimeoutError:
            return f"no answer within {self._seconds:g} s"
        except Exception as error:
            _log.warning("readiness check failed", check=name, exc_info=error)
            return "failed; see the log"
