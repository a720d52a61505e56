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
    """Lets a caller wait for a node. One per process."""

    def __init__(self, store: RelayStore, bells: Bells, clock: Clock, patience_seconds: float) -> None:
        self._store = store
        self._bells = bells
        self._clock = clock
        self._patience_seconds = patience_seconds

    async def wait(self, node: NodeName, change: int) -> None:
        """Return once the node has applied everything up to `change`.

        Raises `Unavailable` when it has not within the time set; what is wanted stays written down, so the node applies
        it as soon as it can, and a repeat of the call is safe.
        """
        rung = asyncio.Event()
        silence = self._bells.listen(CONFIRMED, lambda key: rung.set() if key in (node, None) else None)
        try:
            deadline = self._clock.monotonic() + self._patience_seconds
            while True:
                rung.clear()
                if await self._confirmed(node) >= change:
                    return
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    break
                try:
                    async with asyncio.timeout(min(left, POLL_SECONDS)):
                        await rung.wait()
                except TimeoutError:
                    pass
        finally:
            silence()
        raise Unavailable(
            f"relay '{node}' has not confirmed the change within {self._patience_seconds:g} s; it is written down and will "
            "be applied as soon as the relay is connected",
            retry_after=RETRY_AFTER_SECONDS,
        )

    async def _confirmed(self, node: NodeName) -> int:
        async def unit(tx: RelayTransaction) -> int:
            return await tx.relays.confirmed(node)

        return await self._store.read(unit)
