"""Waiting, for a bounded time, until a node has applied a change."""

import asyncio

from waymeet.model.errors import Unavailable
from waymeet.model.ids import NodeName
from waymeet.model.instant import Clock
from waymeet.relays.bells import CONFIRMED
from waymeet.relays.ports import Bells, RelayStore, RelayTransaction

POLL_SECONDS = 0.5
"""The safety net behind the bell."""
RETRY_AFTER_SECONDS = 2


class Confirmations:
    """Lets callers wait for a node. One per process: its row is read once for all who wait for a node."""

    def __init__(self, store: RelayStore, bells: Bells, clock: Clock, patience_seconds: float) -> None:
        self._store = store
        self._bells = bells
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._watches: dict[NodeName, _Watch] = {}
        """Of nodes that somebody waits for."""

    async def wait(self, node: NodeName, change: int) -> None:
        """Return once the node has applied everything up to `change`.

        Raises `Unavailable` when it has not within the time set; what is wanted stays written down, so the node applies
        it as soon as it can, and a repeat of the call is safe.
        """
        watch = self._watches.get(node)
        if watch is None:
            watch = self._watches[node] = _Watch(self._store, self._bells, node)
        waiting = watch.join(change)
        deadline = self._clock.monotonic() + self._patience_seconds
        try:
            while (left := deadline - self._clock.monotonic()) > 0:
                await asyncio.wait([waiting], timeout=min(left, POLL_SECONDS))
                if waiting.done():
                    return waiting.result()
        finally:
            if watch.leave(waiting):
                del self._watches[node]
        raise Unavailable(
            f"relay '{node}' has not confirmed the change within {self._patience_seconds:g} s; it is written down and will "
            "be applied as soon as the relay is connected",
            retry_after=RETRY_AFTER_SECONDS,
        )


class _Watch:
    """How far one node is, for all who wait for it."""

    def __init__(self, store: RelayStore, bells: Bells, node: NodeName) -> None:
        self._store = store
        self._node = node
        self._waiting: dict[asyncio.Future[None], int] = {}
        """For which change each waits."""
        self._rung = asyncio.Event()
        self._silence = bells.listen(CONFIRMED, self._hear)
        self._looking: asyncio.Task[None] | None = None

    def join(self, change: int) -> "asyncio.Future[None]":
        """Done once the node has applied everything up to `change`; failed when that cannot be found out."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = change
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking(), name=f"confirmations of {self._node}")
        # It may be so already, and then nobody rings any more.
        self._rung.set()
        return waiting

    def leave(self, waiting: "asyncio.Future[None]") -> bool:
        """Whether that was the last one: then this is over."""
        self._waiting.pop(waiting, None)
        if not waiting.cancel() and not waiting.cancelled():
            waiting.exception()  # Nobody may want to know any more.
        if self._waiting:
            return False
        self._silence()
        # Not cancelled: a look that is broken off costs its connection to the database.
        self._rung.set()
        return True

    def _hear(self, key: str | None) -> None:
        if key in (self._node, None):
            self._rung.set()

    async def _keep_looking(self) -> None:
        while self._waiting:
            await self._wait_for_news()
            # Whoever joins from here on is not answered by this look, and rings for another.
            self._rung.clear()
            asked = list(self._waiting.items())
            try:
                confirmed = await self._store.read_single(self._confirmed)
            except Exception as error:
                for waiting, _ in asked:
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for waiting, change in asked:
                if confirmed >= change and not waiting.done():
                    waiting.set_result(None)

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._rung.wait()
        except TimeoutError:
            pass

    async def _confirmed(self, tx: RelayTransaction) -> int:
        return await tx.relays.confirmed(self._node)
