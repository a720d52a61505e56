"""A snapshot of all nodes, kept in memory so that placement costs no query."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from waymeet.locations.ports import LocationStore, LocationTransaction
from waymeet.locations.types import Fleet, Node
from waymeet.model.errors import Unavailable

REFRESH_SECONDS = 5.0
"""The safety net behind the bell: how old a snapshot can get when a ring was lost."""

_log = logging.getLogger(__name__)


class Directory:
    """The nodes as of a moment ago.

    What it says about room is a hint: a place is only taken by `LocationRows.reserve`, which looks at the row itself.
    """

    def __init__(self, store: LocationStore) -> None:
        self._store = store
        self._fleet = Fleet(())
        self._stale = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def fleet(self) -> Fleet:
        """Every node; the same object until it is read again."""
        return self._fleet

    @property
    def nodes(self) -> Sequence[Node]:
        """Every node, by name."""
        return self._fleet.nodes

    def mark_stale(self, _key: str | None = None) -> None:
        """Refresh soon: a listener for the `nodes` bell."""
        self._stale.set()

    def on_refresh(self, listener: Callable[[], None]) -> None:
        """Have `listener` called whenever the nodes were read again, changed or not."""
        self._listeners.append(listener)

    async def refresh(self) -> None:
        """Read the nodes now."""

        async def unit(tx: LocationTransaction) -> Sequence[Node]:
            return await tx.locations.nodes()

        self._stale.clear()
        self._fleet = Fleet(await self._store.read(unit))
        for listener in self._listeners:
            listener()

    async def run(self) -> None:
        """Keep the snapshot fresh until cancelled."""
        while True:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._stale.wait()
            except TimeoutError:
                pass
            try:
                await self.refresh()
            except Unavailable as error:
                _log.warning("the list of nodes could not be refreshed: %s", error.message)
                await asyncio.sleep(1.0)
