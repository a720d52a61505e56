"""The lobbies' reconciler: finds out whether deployed services answer, and empties those that are terminated.

It needs no lease. Asking a service twice does no harm, and what comes of it is written only where the lobby's revision is
still the one that was looked at.
"""

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from waymeet.lobbies.bells import LOBBY
from waymeet.lobbies.changing import RoomChanges
from waymeet.lobbies.ports import Answering, LobbyStore, LobbyTransaction
from waymeet.lobbies.types import Lobby, LobbyRules, Room
from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock, after
from waymeet.model.states import LobbyStatus, move_lobby
from waymeet.relays.ports import Bells
from waymeet.relays.types import RelaySession

POLL_SECONDS = 5.0
"""The safety net behind the bell."""
RETRY_SECONDS = 0.2
"""Between two looks at a service that does not answer yet."""
LOBBIES_AT_ONCE = 32
ROOMS_PER_UNIT = 50

_log = logging.getLogger(__name__)


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

    async def run(self) -> None:
        """Work until cancelled. A database outage is waited out."""
        rung = asyncio.Event()
        silence = self._bells.listen(LOBBY, lambda _key: rung.set())
        try:
            while True:
                rung.clear()
                try:
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
        """Look once at every lobby on its way; whether any of them still is."""

        async def unit(tx: LobbyTransaction) -> Sequence[Lobby]:
            return await tx.lobbies.moving(LOBBIES_AT_ONCE)

        moving = await self._store.read(unit)
        arrived = await asyncio.gather(*(self._move(lobby) for lobby in moving), return_exceptions=True)
        for lobby, outcome in zip(moving, arrived, strict=True):
            if isinstance(outcome, BaseException):
                # One that cannot be moved keeps no other from it.
                _log.error("lobby %s could not be moved", lobby.lobby_id, exc_info=outcome)
        return any(outcome is not True for outcome in arrived)

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
        async def unit(tx: LobbyTransaction) -> int:
            found = await tx.rooms.some_of(lobby.lobby_id, ROOMS_PER_UNIT)
            await self._changes.close(tx, await locked_with_sessions(tx, found), self._clock.now())
            return len(found)

        while await self._store.write(unit) == ROOMS_PER_UNIT:
            pass
        return await self._save(lobby, LobbyStatus.TERMINATED)

    async def _save(self, lobby: Lobby, status: LobbyStatus, *, url: str = "", error: str | None = None) -> bool:
        moved = replace(
            lobby, status=move_lobby(lobby.status, status), url=url, error=error, revision=lobby.revision + 1
        )

        async def unit(tx: LobbyTransaction) -> bool:
            return await tx.lobbies.save(moved)

        return await self._store.write(unit)


async def locked_with_sessions(
    tx: LobbyTransaction, rooms: Sequence[Room]
) -> Sequence[tuple[Room, RelaySession | None]]:
    """Those of the rooms that are still there with the relay sessions that they were seen with, both locked, sessions first.

    One that got another session meanwhile is left out: it is found again.
    """
    seen = {room.room_id: room.relay_session for room in rooms}
    sessions = {
        session.session_id: session
        for session in await tx.relays.lock_many([session for session in seen.values() if session is not None])
        if session.ended_at is None
    }
    locked = await tx.rooms.lock_many(seen)
    return [
        (room, None if room.relay_session is None else sessions.get(room.relay_session))
        for room in locked
        if room.relay_session == seen[room.room_id]
    ]
