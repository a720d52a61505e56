"""The rooms' reconciler: ends those that nobody asks for, takes out players who never arrived, puts back rooms whose relay
session is gone.

It needs no lease: what it does is only writing, done in the same transaction that locks the row and looks at it again.
"""

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from waymeet.lobbies.activity import RoomActivity
from waymeet.lobbies.apart import Apart
from waymeet.lobbies.changing import RoomChanges, in_step
from waymeet.lobbies.deadlines import due, is_over
from waymeet.lobbies.locking import lock_outlines
from waymeet.lobbies.ports import LobbyStore, LobbyTransaction
from waymeet.lobbies.types import Room, RoomOutline
from waymeet.model.errors import Unavailable
from waymeet.model.ids import RoomId
from waymeet.model.instant import Clock, Instant
from waymeet.relays.types import RelaySession

POLL_SECONDS = 1.0
ACTIVITY_SECONDS = 10.0
"""How often is written down which rooms were named: well below `NOTED_SECONDS`."""
ROOMS_PER_UNIT = 50
TOUCHED_PER_UNIT = 500

_log = logging.getLogger(__name__)


class RoomLoop:
    """Acts on rooms' deadlines."""

    def __init__(self, store: LobbyStore, changes: RoomChanges, activity: RoomActivity, clock: Clock) -> None:
        self._store = store
        self._changes = changes
        self._activity = activity
        self._clock = clock
        self._apart: Apart[RoomId] = Apart("room", store, clock)
        self._wrote_at = clock.monotonic()

    async def run(self) -> None:
        """Work until cancelled. A database outage is waited out."""
        while True:
            more = False
            try:
                if self._clock.monotonic() - self._wrote_at >= ACTIVITY_SECONDS:
                    self._wrote_at = self._clock.monotonic()
                    await self.write_activity()
                    await self.put_abandoned_back()
                more = await self.act_on_due()
            except Unavailable as error:
                _log.warning("rooms of lobbies could not be looked at: %s", error.message)
            if not more:
                await asyncio.sleep(POLL_SECONDS)

    async def write_activity(self) -> None:
        """Write down which rooms requests have named since the last time."""
        named = list(self._activity.take())
        now = self._clock.now()
        for start in range(0, len(named), TOUCHED_PER_UNIT):
            some = named[start : start + TOUCHED_PER_UNIT]

            async def unit(tx: LobbyTransaction, some: list[RoomId] = some) -> None:
                await tx.rooms.touch(some, now)

            await self._store.write(unit)

    async def act_on_due(self) -> bool:
        """Act on up to `ROOMS_PER_UNIT` due rooms; whether there may be more."""
        now = self._clock.now()
        most = ROOMS_PER_UNIT + self._apart.count

        async def look(tx: LobbyTransaction) -> Sequence[RoomOutline]:
            return await tx.rooms.due(now, most)

        found = {outline.room_id: outline for outline in await self._store.read(look)}
        chosen = self._apart.free(found, ROOMS_PER_UNIT)
        if not chosen:
            return False

        async def act(tx: LobbyTransaction, keys: Sequence[RoomId]) -> None:
            over: list[tuple[RoomOutline, RelaySession | None]] = []
            for outline, session in await lock_outlines(tx, [found[key] for key in keys]):
                if is_over(outline, self._changes.rules, now):
                    over.append((outline, session))
                elif (room := await tx.rooms.lock(outline.room_id)) is not None:
                    await self._take_out_late(tx, room, session, now)
            if over:
                await self._changes.close(tx, over, now)

        await self._apart.act(chosen, act)
        return len(chosen) == ROOMS_PER_UNIT

    async def put_abandoned_back(self) -> None:
        """The safety net behind `RoomsFollowRelays`: rooms whose relay session is gone can be started again."""
        most = ROOMS_PER_UNIT + self._apart.count

        async def look(tx: LobbyTransaction) -> Sequence[RoomOutline]:
            return await tx.rooms.abandoned(most)

        found = {outline.room_id: outline for outline in await self._store.scan(look)}

        async def act(tx: LobbyTransaction, keys: Sequence[RoomId]) -> None:
            now = self._clock.now()
            for outline, session in await lock_outlines(tx, [found[key] for key in keys]):
                room = await tx.rooms.lock(outline.room_id)
                if room is not None and room is not (stepped := in_step(room, session, now)):
                    await self._changes.save(tx, stepped)

        if chosen := self._apart.free(found, ROOMS_PER_UNIT):
            await self._apart.act(chosen, act)

    async def _take_out_late(
        self, tx: LobbyTransaction, room: Room, session: RelaySession | None, now: Instant
    ) -> None:
        """Players who never arrived leave; a room that was only asked for meanwhile gets its new deadline."""
        late = next(
            (member for member in room.members if member.joining_until is not None and member.joining_until <= now),
            None,
        )
        if late is not None:
            # One at a time: while there is another, the room stays due.
            await self._changes.remove(tx, room, session, late, now)
        else:
            await tx.rooms.save(replace(room, due_at=due(room, self._changes.rules)))
