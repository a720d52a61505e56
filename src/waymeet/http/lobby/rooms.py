"""Calls of a lobby service (lobby service, 3; contract 3.13). The rules live in `waymeet.lobbies`."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from waymeet.http.call import Answer, Call, Document, Stream
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.lobby.events import HEARTBEAT_SECONDS, last_event_id, room_events
from waymeet.http.lobby.guarding import LobbyGuard
from waymeet.http.lobby.pages import RoomPages
from waymeet.http.lobby.wire import (
    BriefBody,
    ClosedBody,
    CreateRoom,
    JoinRoom,
    LeaveRoom,
    RoomBody,
    RoomListBody,
    StartRoom,
    UpdateRoom,
    brief_body,
    brief_of,
)
from waymeet.lobbies.answering import MARK
from waymeet.lobbies.rooms import RoomService
from waymeet.lobbies.types import HIGHEST_TAGS, Room
from waymeet.lobbies.watching import RoomWatch
from waymeet.model.networks import household_of

BODY_BYTES = 64 * 1024
"""Lobby service, section 4."""

_encode = msgspec.json.Encoder().encode


class RoomsQuery(Struct, frozen=True):
    tags: Annotated[
        list[str],
        Meta(
            max_length=HIGHEST_TAGS,
            description="Only lobbies with all of these tags: repeated, or with commas between them.",
        ),
    ] = []


class RoomEndpoints:
    """The eight calls of the original, and the event stream that Waymeet adds."""

    def __init__(
        self,
        rooms: RoomService,
        watch: RoomWatch,
        guard: LobbyGuard,
        *,
        own_tokens_only: bool,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._rooms = rooms
        self._watch = watch
        self._guard = guard
        self._pages = RoomPages(own_tokens_only=own_tokens_only)

    async def list_rooms(self, call: Call[None, RoomsQuery]) -> Document:
        lobby, rooms = await self._rooms.all(call.path["lobby"], call.query.tags)
        body = RoomListBody(len(rooms), [brief_body(room) for room in rooms])
        return Document(_encode(body), "application/json", {MARK: lobby.lobby_id})

    async def create_room(self, call: Call[CreateRoom, None]) -> Document:
        room = await self._rooms.create(call.path["lobby"], call.body.draft(), call.client_address)
        return self._page(room, call)

    async def read_room(self, call: Call[None, None]) -> Document:
        return self._page(await self._rooms.find(call.path["lobby"], call.path["lobby_id"]), call)

    async def update_room(self, call: Call[UpdateRoom, None]) -> BriefBody:
        path = call.path
        return brief_of(
            await self._rooms.update(path["lobby"], path["lobby_id"], call.body.update(), call.client_address)
        )

    async def delete_room(self, call: Call[None, None]) -> None:
        await self._rooms.delete(call.path["lobby"], call.path["lobby_id"], call.client_address)

    async def join_room(self, call: Call[JoinRoom, None]) -> Document:
        body = call.body
        room = await self._rooms.join(call.path["lobby"], body.lobby_id, body.player.id, call.client_address)
        return self._page(room, call)

    async def leave_room(self, call: Call[LeaveRoom, None]) -> None:
        await self._rooms.leave(call.path["lobby"], call.body.lobby_id, call.body.player.id, call.client_address)

    async def start_room(self, call: Call[StartRoom, None]) -> Answer | Document:
        room = await self._rooms.start(call.path["lobby"], call.body.lobby_id, call.client_address)
        if room.assignment is not None:
            return self._page(room, call)
        return Answer(202, msgspec.Raw(self._pages.page(room, call.client_address)))

    async def watch_room(self, call: Call[None, None]) -> Stream:
        resources = AsyncExitStack()
        seen = last_event_id(call.headers.get(b"last-event-id"))
        source = household_of(call.client_address)
        following = self._watch.follow(call.path["lobby"], call.path["lobby_id"], source, seen)
        versions = await resources.enter_async_context(following)
        return Stream(
            room_events(versions, self._pages, call.client_address, self._heartbeat_seconds),
            "text/event-stream",
            resources,
        )

    def _page(self, room: Room, call: Call[Any, Any]) -> Document:
        return Document(self._pages.page(room, call.client_address), "application/json")

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        several, one = "/l/{lobby}/lobbies", "/l/{lobby}/lobbies/{lobby_id}"
        contract, tag = "3.13", "Lobby service"
        rows: list[Endpoint[Any, Any]] = [
            Endpoint(
                method="GET", path=several, handler=self.list_rooms, summary="List the lobbies of a lobby service",
                contract=contract, tag=tag, query=RoomsQuery, answers={200: RoomListBody}, errors=(404,),
            ),
            Endpoint(
                method="POST", path=several, handler=self.create_room, summary="Open a lobby; its player is the host",
                contract=contract, tag=tag, body=CreateRoom, answers={200: RoomBody}, errors=(404, 409),
                guard=self._guard.creation,
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_room, summary="Read a lobby",
                contract=contract, tag=tag, answers={200: RoomBody}, errors=(404,),
            ),
            Endpoint(
                method="PATCH", path=one, handler=self.update_room, summary="Change a lobby",
                contract=contract, tag=tag, body=UpdateRoom, answers={200: BriefBody}, errors=(404, 409),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.delete_room,
                summary="Close a lobby; its players' relay tokens are dead when this answers",
                contract=contract, tag=tag, answers={204: None}, errors=(404, 503),
            ),
            Endpoint(
                method="POST", path=f"{several}:join", handler=self.join_room,
                summary="Join a lobby; in a started one the relay lets the player in when this answers",
                contract=contract, tag=tag, body=JoinRoom, answers={200: RoomBody}, errors=(404, 409, 503),
            ),
            Endpoint(
                method="POST", path=f"{several}:leave", handler=self.leave_room,
                summary="Leave a lobby; the player's relay token is dead when this answers",
                contract=contract, tag=tag, body=LeaveRoom, answers={204: None}, errors=(404, 503),
            ),
            Endpoint(
                method="POST", path=f"{several}:start", handler=self.start_room,
                summary="Have a relay session made for the players of a lobby",
                contract=contract, tag=tag, body=StartRoom, answers={202: RoomBody, 200: RoomBody}, errors=(404, 503),
            ),
            Endpoint(
                method="GET", path=f"{one}/events", handler=self.watch_room,
                summary="Follow a lobby as server-sent events: its state, then each change", contract="", tag=tag,
                answers={200: str}, events={"lobby": RoomBody, "closed": ClosedBody}, errors=(404, 503),
                headers={"Last-Event-ID": "The id of the event that came last; what has not changed since is not told."},
            ),
        ]  # fmt: skip
        return [
            replace(
                row,
                access=Access.PUBLIC,
                guard=row.guard or self._guard.call,
                body_bytes=BODY_BYTES,
                headers={**row.headers, "X-Game-Key": "The game's key, where the operator asks for one."},
            )
            for row in rows
        ]
