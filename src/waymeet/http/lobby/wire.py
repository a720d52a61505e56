"""Rooms on the wire (lobby service, 2). They are called lobbies there."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from waymeet.lobbies.types import (
    HIGHEST_ANNOTATIONS,
    HIGHEST_CAPACITY,
    HIGHEST_TAGS,
    Annotation,
    Assignment,
    Room,
    RoomBrief,
    RoomDraft,
    RoomUpdate,
)

Capacity = Annotated[int, Meta(ge=1, le=HIGHEST_CAPACITY)]
Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=HIGHEST_TAGS)]
LobbyId = Annotated[str, Meta(min_length=1, max_length=255)]


class PlayerId(Struct, frozen=True):
    """What a client says of a player; whatever else it says is decided here."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]


class AnnotationBody(Struct, frozen=True):
    inject: bool = False
    key: Annotated[str, Meta(max_length=64)] = ""
    value: Annotated[str, Meta(max_length=1024)] = ""


class CreateRoom(Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    capacity: Capacity
    player: PlayerId
    is_joinable: bool = True
    tags: Tags | None = None
    annotations: Annotated[list[AnnotationBody], Meta(max_length=HIGHEST_ANNOTATIONS)] | None = None
    host_migration: bool = False

    def draft(self) -> RoomDraft:
        return RoomDraft(
            name=self.name,
            capacity=self.capacity,
            player_id=self.player.id,
            is_joinable=self.is_joinable,
            tags=tuple(self.tags or ()),
            annotations=tuple(Annotation(one.inject, one.key, one.value) for one in self.annotations or ()),
            host_migration=self.host_migration,
        )


class UpdateRoom(Struct, frozen=True):
    capacity: Capacity | None = None
    is_joinable: bool | None = None
    tags: Tags | UnsetType | None = UNSET
    """An empty list takes all away; without that, nobody could."""

    def update(self) -> RoomUpdate:
        return RoomUpdate(
            capacity=self.capacity,
            is_joinable=self.is_joinable,
            tags=tuple(self.tags) if isinstance(self.tags, list) else None,
        )


class JoinRoom(Struct, frozen=True):
    lobby_id: LobbyId
    player: PlayerId


class LeaveRoom(Struct, frozen=True):
    lobby_id: LobbyId
    player: PlayerId


class StartRoom(Struct, frozen=True):
    lobby_id: LobbyId


class RoomPlayer(Struct, frozen=True):
    id: str
    is_host: bool
    authorization_token: int | None


class AssignmentPort(Struct, frozen=True):
    name: str
    port: int
    protocol: str


class AssignmentBody(Struct, frozen=True):
    authorization_token: int
    ip: str
    host: str
    ports: list[AssignmentPort]


class BriefBody(Struct, frozen=True):
    lobby_id: str
    name: str
    is_joinable: bool
    is_started: bool
    player_count: int
    capacity: int
    tags: tuple[str, ...]


class RoomBody(Struct, frozen=True):
    lobby_id: str
    name: str
    is_joinable: bool
    is_started: bool
    player_count: int
    capacity: int
    tags: tuple[str, ...]
    annotations: tuple[Annotation, ...]
    players: list[RoomPlayer]
    assignment: AssignmentBody | None
    host_migration: bool
    error: str | None


class RoomListBody(Struct, frozen=True):
    count: int
    data: list[BriefBody]


class ClosedBody(Struct, frozen=True):
    """Nothing: the lobby is gone, and nothing comes after this."""


def room_body(room: Room, viewer: str | None = None) -> RoomBody:
    """The full room. Tokens appear with the assignment, never before it; with a `viewer`, only those of the players that
    came from this IP address.
    """
    present = room.present
    host = room.host
    return RoomBody(
        lobby_id=room.room_id,
        name=room.name,
        is_joinable=room.is_joinable,
        is_started=room.is_started,
        player_count=len(present),
        capacity=room.capacity,
        tags=room.tags,
        annotations=room.annotations,
        players=[
            RoomPlayer(
                member.player_id,
                member is host,
                member.token if room.assignment is not None and viewer in (None, member.address) else None,
            )
            for member in present
        ],
        assignment=None if room.assignment is None else _assignment(room.assignment),
        host_migration=room.host_migration,
        error=room.error,
    )


def _assignment(assignment: Assignment) -> AssignmentBody:
    ports = assignment.ports
    return AssignmentBody(
        assignment.token,
        assignment.address,
        assignment.host,
        [AssignmentPort("server", ports.server_port, "UDP"), AssignmentPort("client", ports.client_port, "UDP")],
    )


def brief_of(room: Room) -> BriefBody:
    return BriefBody(
        room.room_id, room.name, room.is_joinable, room.is_started, len(room.present), room.capacity, room.tags
    )


def brief_body(brief: RoomBrief) -> BriefBody:
    return BriefBody(
        brief.room_id,
        brief.name,
        brief.is_joinable,
        brief.is_started,
        brief.player_count,
        brief.capacity,
        brief.tags,
    )
