"""The sessions' reconciler: goes on seeking seats for those that wait for nodes, and forgets those whose time has come."""

import asyncio
import logging

from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock
from waymeet.sessions.ports import SessionStore, SessionTransaction
from waymeet.sessions.seeking import Seeking

POLL_SECONDS = 0.5
ROWS_PER_UNIT = 500

_log = logging.getLogger(__name__)


class SessionLoop:
    """Seeks seats again, and deletes sessions: at once after a delete, after their retention when nobody plays in them."""

    def __init__(self, store: SessionStore, seeking: Seeking, clock: Clock) -> None:
        self._store = store
        self._seeking = seeking
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled. A database outage is waited out."""
        while True:
            try:
                more = await self.act_on_due()
            except Unavailable as error:
                _log.warning("due sessions could not be looked at: %s", error.message)
                more = False
            if not more:
                await asyncio.sleep(POLL_SECONDS)

    async def act_on_due(self) -> bool:
        """Act on what is due, up to some bound; whether there may be more."""
        now = self._clock.now()

        async def look(tx: SessionTransaction) -> bool:
            return await tx.sessions.any_due(now)

        # Looking first keeps an idle server from writing twice a second.
        if not await self._store.read(look):
            return False
        more_seeking = await self._seeking.seek_again()
        return await self.forget_ended() or more_seeking

    async def forget_ended(self) -> bool:
        """Forget up to `ROWS_PER_UNIT` sessions; whether there may be more."""
        now = self._clock.now()

        async def unit(tx: SessionTransaction) -> int:
            return await tx.sessions.delete_due(now, ROWS_PER_UNIT)

        return await self._store.write(unit) == ROWS_PER_UNIT
