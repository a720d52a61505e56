"""What the driver does beside the calls that it gets."""

import asyncio
from collections.abc import Coroutine


class Tasks:
    """Tasks of one driver, all of which end with it. One that fails is `failure`, and `news`."""

    def __init__(self, news: asyncio.Event) -> None:
        self._news = news
        self._tasks: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Begin it now."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    async def cancel(self) -> None:
        """End all of them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug. Without its watch the driver is of no use; a new process finds all its servers again.
            self.failure = error
            self._news.set()
