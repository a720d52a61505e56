"""The lobbies' reconciler: finds out whether deployed services answer, and empties those that are terminated.

It needs no lease. Asking a service twice does no harm, and what comes of it is written only where the lobby's revision is
still the one that was looked at.
"""

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from waymeet.lobbies.apart import Apart
from waymeet.lobbies.bells import LOBBY
from waymeet.lobbies.changing import RoomChanges
from waymeet.lobbies.locking import lock_outlines
from waymeet.lobbies.ports import Answering, LobbyStore, LobbyTransaction
from waymeet.lobbies.types import Lobby, LobbyRules, RoomOutline
from waymeet.model.errors import Unavailable
from waymeet.model.ids import LobbyId, RoomId
from waymeet.model.instant import Clock, after
from waymeet.model.states import LobbyStatus, move_lobby
from waymeet.relays.ports import Bells

POLL_SECONDS = 5.0
"""The safety net behind the bell."""
RETRY_SECONDS = 0.2
"""Between two looks at a service that does not answer yet."""
LOBBIES_AT_ONCE = 32
ROOMS_PER_UNIT = 50

_log = logging.getLogger(__name__)


class RoomsLeft(Exception):
    """A lobby that is to be empty is not, and nothing can be done about it now."""


class LobbyLoop:
    """Moves lobbies that are being deployed or terminated."""

    def __init__(
        self,
        store: LobbyStore,
        bells: Bells,
        answering: Answering,
        changes: RoomChanges,
        clock: Clock,
        rules: LobbyRules,
    ) -> None:
        self._store = store
        self._bells = bells
        self._answering = answering
        self._changes = changes
        self._clock = clock
        self._rules = rules
        self._apart: Apart[LobbyId] = Apart("lobby", store, clock)
        self._rooms_apart: Apart[RoomId] = Apart("room", store, clock)

    async def run(self) -> None:
        """Work until cancelled. A database outage is waited out."""
        rung = asyncio.Event()
        silence = self._bells.listen(LOBBY, lambda _key: rung.set())
        settled = False
        try:
            while True:
                rung.clear()
                try:
                    if not settled:
                        await self.readdress()
                        settled = True
                    moving = await self.step()
                except Unavailable as error:
                    _log.warning("lobbies could not be looked at: %s", error.message)
                    moving = True
                try:
                    async with asyncio.timeout(RETRY_SECONDS if moving else POLL_SECONDS):
                        await rung.wait()
                except TimeoutError:
                    pass
        finally:
            silence()

    async def step(self) -> bool:
        """Look once at every lobby on its way; whether any of them still is. Raises `Unavailable` in an outage."""
        most = LOBBIES_AT_ONCE + self._apart.count

        async def unit(tx: LobbyTransaction) -> Sequence[Lobby]:
            return await tx.lobbies.moving(most)

        moving = {lobby.lobby_id: lobby for lobby in await self._store.read(unit)}
        chosen = self._apart.free(moving, LOBBIES_AT_ONCE)
        outcomes = await asyncio.gather(*(self._move(moving[key]) for key in chosen), return_exceptions=True)
        outage: Unavailable | None = None
        for key, outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, Unavailable):
                outage = outcome
            elif isinstance(outcome, BaseException):
                # One that cannot be moved keeps no other from it.
                self._apart.leave_alone(key, outcome)
        if outage is not None:
            raise outage
        return any(outcome is False for outcome in outcomes)

    async def readdress(self) -> None:
        """Deploy anew what answered at another URL before the settings changed: nobody is told a URL that was not called."""

        async def look(tx: LobbyTransaction) -> Sequence[Lobby]:
            return await tx.lobbies.released()

        for lobby in await self._store.read(look):
            if lobby.url != self._rules.url.format(address=lobby.address):
                await self._save(replace(lobby, deploying_since=self._clock.now()), LobbyStatus.DEPLOYING)

    async def _move(self, lobby: Lobby) -> bool:
        if lobby.status is LobbyStatus.TERMINATING:
            return await self._empty(lobby)
        return await self._release(lobby)

    async def _release(self, lobby: Lobby) -> bool:
        url = self._rules.url.format(address=lobby.address)
        problem = await self._answering.check(lobby, url)
        if problem is None:
            return await self._save(lobby, LobbyStatus.RELEASED, url=url)
        since = lobby.deploying_since if lobby.deploying_since is not None else lobby.created_at
        if self._clock.now() < after(since, self._rules.deploy_seconds):
            return False
        _log.error("lobby '%s' does not answer at %s: %s", lobby.name, url, problem)
        error = f"{url} did not answer within {self._rules.deploy_seconds:g} s: {problem}"
        return await self._save(lobby, LobbyStatus.ERROR, error=error)

    async def _empty(self, lobby: Lobby) -> bool:
        """End its rooms. It is Terminated once there is none left, also none that changed meanwhile."""
        last = RoomId("")
        while found := await self._some_of(lobby, last):
            last = found[-1].room_id
            outlines = {outline.room_id: outline for outline in found}

            async def close(
                tx: LobbyTransaction, keys: Sequence[RoomId], outlines: dict[RoomId, RoomOutline] = outlines
            ) -> None:
                locked = await lock_outlines(tx, [outlines[key] for key in keys])
                await self._changes.close(tx, locked, self._clock.now())

            if chosen := self._rooms_apart.free(outlines, ROOMS_PER_UNIT):
                await self._rooms_apart.act(chosen, close)
        if left := await self._some_of(lobby, RoomId("")):
            if not self._rooms_apart.free([outline.room_id for outline in left], ROOMS_PER_UNIT):
                raise RoomsLeft(f"{len(left)} of its rooms, or more, cannot be ended")
            return False
        return await self._save(lobby, LobbyStatus.TERMINATED)

    async def _some_of(self, lobby: Lobby, after_room: RoomId) -> Sequence[RoomOutline]:
        async def unit(tx: LobbyTransaction) -> Sequence[RoomOutline]:
            return await tx.rooms.some_of(lobby.lobby_id, after_room, ROOMS_PER_UNIT)

        return await self._store.read(unit)

    async def _save(self, lobby: Lobby, status: LobbyStatus, *, url: str = "", error: str | None = None) -> bool:
        moved = replace(
            lobby, status=move_lobby(lobby.status, status), url=url, error=error, revision=lobby.revision + 1
        )

        async def unit(tx: LobbyTransaction) -> bool:
            return await tx.lobbies.save(moved)

        return await self._store.write(unit)
