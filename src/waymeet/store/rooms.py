"""Rows of rooms. What is looked for stands in columns, the rest in one document."""

from collections.abc import Collection, Sequence

from msgspec import DecodeError, Struct

from waymeet.lobbies.types import (
    Annotation,
    Assignment,
    Member,
    Room,
    RoomBrief,
    RoomOutline,
    UnreadableRoom,
)
from waymeet.model.ids import LobbyId, OrganisationId, RoomId, SessionId
from waymeet.model.instant import Instant
from waymeet.store.documents import reader, to_text
from waymeet.store.engine import Connection, Row
from waymeet.store.statement import Statement


class _Document(Struct, frozen=True):
    members: tuple[Member, ...]
    annotations: tuple[Annotation, ...]
    host_migration: bool
    assignment: Assignment | None
    error: str | None


_NAMES = (
    "room_id",
    "lobby_id",
    "organisation_id",
    "lobby_address",
    "version",
    "name",
    "capacity",
    "is_joinable",
    "tags",
    "document",
    "relay_session_id",
    "created_at",
    "active_at",
    "due_at",
)
_COLUMNS = ", ".join(_NAMES)
_OUTLINE = "room_id, lobby_id, relay_session_id, room.created_at, active_at"
_INSERT = Statement(
    f"INSERT INTO room ({_COLUMNS}, player_count, creator)"
    f" VALUES ({', '.join(f'${n}' for n in range(1, len(_NAMES) + 3))})"
)
# Exactly one row whatever there is, so that those who poll at once can share a round trip.
_FIND = Statement(
    f"SELECT {_COLUMNS} FROM (SELECT 1 AS one) AS always LEFT JOIN room ON room_id = $1 AND lobby_address = $2"
)
_LOCK_TEXT = f"SELECT {_COLUMNS} FROM room WHERE room_id = $1"
_LOCK = Statement(f"{_LOCK_TEXT} FOR UPDATE", sqlite=_LOCK_TEXT)
_LOCK_OUTLINES = Statement(
    f"SELECT {_OUTLINE} FROM room WHERE room_id IN (SELECT json_array_elements_text($1::json))"
    " ORDER BY room_id FOR UPDATE",
    sqlite=f"SELECT {_OUTLINE} FROM room WHERE room_id IN (SELECT value FROM json_each($1)) ORDER BY room_id",
)
_LOCK_OF_TEXT = f"SELECT {_COLUMNS} FROM room WHERE relay_session_id = $1"
_LOCK_OF = Statement(f"{_LOCK_OF_TEXT} FOR UPDATE", sqlite=_LOCK_OF_TEXT)
_SAVE = Statement(
    """
    UPDATE room SET version = $2, capacity = $3, is_joinable = $4, tags = $5, document = $6, relay_session_id = $7,
        active_at = $8, due_at = $9, player_count = $10
    WHERE room_id = $1
    """
)
_DELETE = Statement(
    "DELETE FROM room WHERE room_id IN (SELECT json_array_elements_text($1::json))",
    sqlite="DELETE FROM room WHERE room_id IN (SELECT value FROM json_each($1))",
)
_BRIEFS = Statement(
    "SELECT room_id, name, is_joinable, relay_session_id, player_count, capacity, tags FROM room WHERE lobby_address = $1"
    " ORDER BY created_at DESC, room_id DESC LIMIT $2"
)
_COUNT_BY = Statement("SELECT COUNT(*) FROM room WHERE lobby_id = $1 AND creator = $2")
_SOME_OF = Statement(f"SELECT {_OUTLINE} FROM room WHERE lobby_id = $1 AND room_id > $2 ORDER BY room_id LIMIT $3")
_DUE = Statement(f"SELECT {_OUTLINE} FROM room WHERE due_at <= $1 ORDER BY due_at LIMIT $2")
_ABANDONED = Statement(
    f"SELECT {_OUTLINE} FROM room LEFT JOIN relay_session ON session_id = relay_session_id"
    " WHERE relay_session_id IS NOT NULL AND (session_id IS NULL OR status NOT IN ('INITIALIZING', 'READY')) LIMIT $1"
)
_TOUCH = Statement(
    "UPDATE room SET active_at = $2 WHERE room_id IN (SELECT json_array_elements_text($1::json)) AND active_at < $2",
    sqlite="UPDATE room SET active_at = $2 WHERE room_id IN (SELECT value FROM json_each($1)) AND active_at < $2",
)

_document = reader(_Document)
_tags = reader(tuple[str, ...])


class RoomRows:
    """`lobbies.ports.RoomRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, room: Room, creator: str) -> None:
        await self._connection.execute(
            _INSERT,
            room.room_id,
            room.lobby_id,
            room.organisation,
            room.lobby_address,
            room.version,
            room.name,
            room.capacity,
            room.is_joinable,
            to_text(room.tags),
            _text(room),
            room.relay_session,
            room.created_at,
            room.active_at,
            room.due_at,
            len(room.present),
            creator,
        )

    async def find(self, lobby_address: str, room_id: RoomId) -> Room | None:
        row = await self._connection.fetch_one(_FIND, room_id, lobby_address)
        return None if row is None or row[0] is None else _room(row)

    async def lock(self, room_id: RoomId) -> Room | None:
        row = await self._connection.fetch_one(_LOCK, room_id)
        return None if row is None else _room(row)

    async def lock_outlines(self, room_ids: Collection[RoomId]) -> Sequence[RoomOutline]:
        return [_outline(row) for row in await self._connection.fetch(_LOCK_OUTLINES, to_text(list(room_ids)))]

    async def lock_of(self, session_id: SessionId) -> Room | None:
        row = await self._connection.fetch_one(_LOCK_OF, session_id)
        return None if row is None else _room(row)

    async def save(self, room: Room) -> None:
        await self._connection.execute(
            _SAVE,
            room.room_id,
            room.version,
            room.capacity,
            room.is_joinable,
            to_text(room.tags),
            _text(room),
            room.relay_session,
            room.active_at,
            room.due_at,
            len(room.present),
        )

    async def delete(self, room_ids: Collection[RoomId]) -> None:
        await self._connection.execute(_DELETE, to_text(list(room_ids)))

    async def briefs(self, lobby_address: str, limit: int) -> Sequence[RoomBrief]:
        return [
            RoomBrief(
                room_id=RoomId(room_id),
                name=name,
                is_joinable=bool(is_joinable),
                is_started=relay_session_id is not None,
                player_count=player_count,
                capacity=capacity,
                tags=_tags(tags),
            )
            for room_id, name, is_joinable, relay_session_id, player_count, capacity, tags in await self._connection.fetch(
                _BRIEFS, lobby_address, limit
            )
        ]

    async def count_by(self, lobby_id: LobbyId, creator: str) -> int:
        row = await self._connection.fetch_one(_COUNT_BY, lobby_id, creator)
        assert row is not None, "an aggregate always has a row"
        return int(row[0])

    async def some_of(self, lobby_id: LobbyId, after: RoomId, limit: int) -> Sequence[RoomOutline]:
        return [_outline(row) for row in await self._connection.fetch(_SOME_OF, lobby_id, after, limit)]

    async def due(self, now: Instant, limit: int) -> Sequence[RoomOutline]:
        return [_outline(row) for row in await self._connection.fetch(_DUE, now, limit)]

    async def abandoned(self, limit: int) -> Sequence[RoomOutline]:
        return [_outline(row) for row in await self._connection.fetch(_ABANDONED, limit)]

    async def touch(self, room_ids: Collection[RoomId], now: Instant) -> None:
        await self._connection.execute(_TOUCH, to_text(list(room_ids)), now)


def _text(room: Room) -> str:
    return to_text(_Document(room.members, room.annotations, room.host_migration, room.assignment, room.error))


def _room(row: Row) -> Room:
    (
        room_id,
        lobby_id,
        organisation_id,
        lobby_address,
        version,
        name,
        capacity,
        is_joinable,
        tags,
        text,
        relay_session_id,
        created_at,
        active_at,
        due_at,
    ) = row
    try:
        document = _document(text)
        known_tags = _tags(tags)
    except DecodeError as error:
        raise UnreadableRoom(room_id, error) from error
    if not document.members:
        raise UnreadableRoom(room_id, "nobody is in it")
    return Room(
        room_id=RoomId(room_id),
        lobby_id=LobbyId(lobby_id),
        organisation=OrganisationId(organisation_id),
        lobby_address=lobby_address,
        version=version,
        name=name,
        capacity=capacity,
        is_joinable=bool(is_joinable),
        tags=known_tags,
        annotations=document.annotations,
        members=document.members,
        host_migration=document.host_migration,
        relay_session=None if relay_session_id is None else SessionId(relay_session_id),
        assignment=document.assignment,
        error=document.error,
        created_at=Instant(created_at),
        active_at=Instant(active_at),
        due_at=Instant(due_at),
    )


def _outline(row: Row) -> RoomOutline:
    room_id, lobby_id, relay_session_id, created_at, active_at = row
    return RoomOutline(
        room_id=RoomId(room_id),
        lobby_id=LobbyId(lobby_id),
        relay_session=None if relay_session_id is None else SessionId(relay_session_id),
        created_at=Instant(created_at),
        active_at=Instant(active_at),
    )
