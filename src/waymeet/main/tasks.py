"""Background tasks that outlive their failures."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

RESTART_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Tasks:
    """Runs loops side by side. One that fails has a bug: that is logged with its trace, and the loop begins again."""

    def __init__(self, loops: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self._loops = loops
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._keep_running(name, loop), name=name) for name, loop in self._loops.items()
        ]

    async def stop(self) -> None:
        """Cancel all of them and wait until they are gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    async def _keep_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await loop()
                return
            except Exception as error:
                _log.error("a background loop failed and begins again", loop=name, exc_info=error)
            await asyncio.sleep(RESTART_SECONDS)
