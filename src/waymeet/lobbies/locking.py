"""Rooms and their relay sessions, locked together: the sessions first, as everywhere."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from waymeet.lobbies.ports import LobbyStore, LobbyTransaction
from waymeet.lobbies.types import Room, RoomOutline
from waymeet.model.errors import NotFound, Unavailable
from waymeet.model.ids import RoomId
from waymeet.relays.types import RelaySession

Result = TypeVar("Result")

ATTEMPTS = 5


class _Overtaken(Exception):
    """The room got another relay session between the look at it and its lock."""


async def write_locked(
    store: LobbyStore,
    lobby_address: str,
    room_id: RoomId,
    unit: Callable[[LobbyTransaction, Room, RelaySession | None], Awaitable[Result]],
) -> Result:
    """Run `unit` in a transaction that holds the room, and its relay session if it has one.

    Raises `NotFound` when there is no such room, and what `unit` raises.
    """

    async def locked(tx: LobbyTransaction) -> Result:
        seen = await tx.rooms.find(lobby_address, room_id)
        if seen is None:
            raise unknown_room(room_id)
        session: RelaySession | None = None
        if seen.relay_session is not None:
            session = await tx.relays.lock(seen.organisation, seen.relay_session)
        room = await tx.rooms.lock(room_id)
        if room is None:
            raise unknown_room(room_id)
        if room.relay_session != seen.relay_session:
            # To lock the session now would be the wrong order.
            raise _Overtaken
        return await unit(tx, room, session)

    for _ in range(ATTEMPTS):
        try:
            return await store.write(locked)
        except _Overtaken:
            continue
    raise Unavailable("the lobby changes too quickly; try again shortly")


async def lock_outlines(
    tx: LobbyTransaction, seen: Collection[RoomOutline]
) -> Sequence[tuple[RoomOutline, RelaySession | None]]:
    """Those of the rooms that are still there with the relay sessions that they were seen with, both locked, sessions first.

    One that got another session meanwhile is left out: it is found again. A session that has ended is none.
    """
    before = {outline.room_id: outline.relay_session for outline in seen}
    sessions = {
        session.session_id: session
        for session in await tx.relays.lock_many([session for session in before.values() if session is not None])
        if session.ended_at is None
    }
    return [
        (outline, None if outline.relay_session is None else sessions.get(outline.relay_session))
        for outline in await tx.rooms.lock_outlines(before)
        if outline.relay_session == before[outline.room_id]
    ]


def unknown_room(room_id: str) -> NotFound:
    """What every call says of a room that is not there."""
    # The words that a client of the hosted service looks for (lobby service, 3).
    return NotFound(f"NotFound: there is no lobby {room_id[:64]!r} here (any more)")
