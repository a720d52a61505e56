"""Following rooms as they change: one look at the store for each change, however many follow.

Followers get levels, not deltas: whoever is slow, or comes back, gets the room as it is and has missed nothing that
still counts.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from waymeet.lobbies.bells import ROOM
from waymeet.lobbies.types import Room
from waymeet.model.errors import NotFound, TooManyRequests, Unavailable
from waymeet.model.ids import RoomId
from waymeet.relays.ports import Bells

POLL_SECONDS = 10.0
"""The safety net behind the bell."""
OUTAGE_SECONDS = 1.0
RETRY_AFTER_SECONDS = 10.0

_log = logging.getLogger(__name__)

FindRoom = Callable[[str, str], Awaitable[Room]]
"""Finds a room by its lobby's address and its id; `NotFound` when it is not there."""


class _Watched:
    """A room that somebody follows."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.is_gone = False
        self.rung = asyncio.Event()
        self.followers: set[asyncio.Event] = set()
        self.task: asyncio.Task[None] | None = None

    def tell(self) -> None:
        for follower in self.followers:
            follower.set()


class RoomWatch:
    """Who follows which room, in this process."""

    def __init__(
        self,
        find: FindRoom,
        bells: Bells,
        *,
        followers: int,
        followers_per_source: int,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._poll_seconds = poll_seconds
        self._find = find
        self._bells = bells
        self._followers = followers
        self._followers_per_source = followers_per_source
        self._watched: dict[RoomId, _Watched] = {}
        self._by_source: dict[str, int] = {}
        self._count = 0
        self._closed = False

    @property
    def count(self) -> int:
        """How many follow a room now."""
        return self._count

    @asynccontextmanager
    async def follow(
        self, lobby_address: str, room_id: str, source: str, seen: int | None
    ) -> AsyncIterator[AsyncGenerator[Room | None, None]]:
        """The room as it is, unless its version is `seen`, and then each time that it changed; `None` at its end.

        Ends without `None` when this process stops. Raises `NotFound` when there is no such room, `TooManyRequests` and
        `Unavailable` when this source, or all of them, follow as many as they may.
        """
        room = await self._find(lobby_address, room_id)
        self._admit(source)
        try:
            watched = self._watch(room)
            changed = asyncio.Event()
            watched.followers.add(changed)
            try:
                async with aclosing(self._versions(watched, changed, seen)) as versions:
                    yield versions
            finally:
                watched.followers.discard(changed)
                if not watched.followers:
                    watched.rung.set()
        finally:
            self._dismiss(source)

    def close(self) -> None:
        """End every following, so that their connections can close."""
        self._closed = True
        for watched in self._watched.values():
            watched.rung.set()
            watched.tell()

    def _admit(self, source: str) -> None:
        if self._closed:
            raise Unavailable("the server is stopping; connect again", RETRY_AFTER_SECONDS)
        if self._count >= self._followers:
            raise Unavailable("too many players follow lobbies here; poll instead, or try again", RETRY_AFTER_SECONDS)
        most, mine = self._followers_per_source, self._by_source.get(source, 0)
        if most and mine >= most:
            reason = f"{most} event streams are open from {source}, which is the limit; close one, or poll instead"
            raise TooManyRequests(reason, RETRY_AFTER_SECONDS)
        self._count += 1
        self._by_source[source] = mine + 1

    def _dismiss(self, source: str) -> None:
        self._count -= 1
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]

    def _watch(self, room: Room) -> _Watched:
        watched = self._watched.get(room.room_id)
        if watched is None:
            watched = self._watched[room.room_id] = _Watched(room)
            watched.task = asyncio.create_task(self._attend(watched), name=f"room {room.room_id}")
        elif room.version > watched.room.version:
            watched.room = room
            watched.tell()
        return watched

    async def _versions(
        self, watched: _Watched, changed: asyncio.Event, seen: int | None
    ) -> AsyncGenerator[Room | None, None]:
        while not self._closed:
            changed.clear()
            if watched.is_gone:
                yield None
                return
            room = watched.room
            if room.version != seen:
                seen = room.version
                yield room
                continue
            await changed.wait()

    async def _attend(self, watched: _Watched) -> None:
        """Look whenever the bell rings, while anybody follows."""
        room_id = watched.room.room_id
        silence = self._bells.listen(ROOM, lambda key: watched.rung.set() if key in (room_id, None) else None)
        try:
            while not watched.is_gone and not self._closed:
                watched.rung.clear()
                pause = await self._look(watched)
                if not watched.followers:
                    return
                try:
                    async with asyncio.timeout(pause):
                        await watched.rung.wait()
                except TimeoutError:
                    pass
        finally:
            silence()
            self._watched.pop(room_id, None)
            if watched.followers and not watched.is_gone and not self._closed:
                # Nobody would ever tell them again.
                watched.is_gone = True
                watched.tell()

    async def _look(self, watched: _Watched) -> float:
        try:
            room = await self._find(watched.room.lobby_address, watched.room.room_id)
        except NotFound:
            watched.is_gone = True
            watched.tell()
        except Unavailable:
            return OUTAGE_SECONDS
        except Exception:
            # Nobody can read it now; that is not the end of it.
            _log.exception("room %s could not be looked at", watched.room.room_id)
        else:
            if room.version > watched.room.version:
                watched.room = room
                watched.tell()
        return self._poll_seconds
