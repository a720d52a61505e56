"""Lobbies over a real store, with relays played by hand and a service that answers when the test says so."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from tests.polling import eventually_async
from tests.relays.hands import HandRelay
from tests.stores import Store
from tests.world import CONFIRMING_SECONDS, ORGANISATION, World
from waymeet.accounts.types import Organisation
from waymeet.lobbies.activity import RoomActivity
from waymeet.lobbies.loop import LobbyLoop
from waymeet.lobbies.room_loop import RoomLoop
from waymeet.lobbies.rooms import RoomService
from waymeet.lobbies.service import LobbyService
from waymeet.lobbies.types import Lobby, LobbyRules, Room, RoomBrief, RoomDraft
from waymeet.model.errors import Unavailable
from waymeet.model.ids import OrganisationId, RoomId
from waymeet.relays.types import RelaySession
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

Result = TypeVar("Result")

LOBBY = "duel"
"""The name of the lobby that tests of rooms play in, and its address."""
HOST, GUEST, THIRD = "203.0.113.7", "198.51.100.23", "192.0.2.77"
"""IP addresses of players."""

_ROOMS = Statement("SELECT room_id, lobby_address FROM room ORDER BY created_at, room_id")
_LOBBIES = Statement("SELECT address FROM lobby ORDER BY address")
_SPOIL = Statement("UPDATE room SET document = $2 WHERE room_id = $1")
_DOCUMENT = Statement("SELECT document FROM room WHERE room_id = $1")


class Answers:
    """An `Answering` that says what the test says."""

    def __init__(self) -> None:
        self.problem: str | None = None
        """Of every lobby, unless `problems` knows better."""
        self.problems: dict[str, str | None | BaseException] = {}
        self.asked: list[tuple[str, str]] = []
        """Names of lobbies and the URLs at which they were looked for."""
        self.held: asyncio.Event | None = None
        """Answers only once this is set."""

    async def check(self, lobby: Lobby, url: str) -> str | None:
        self.asked.append((lobby.name, url))
        if self.held is not None:
            await self.held.wait()
        problem = self.problems.get(lobby.name, self.problem)
        if isinstance(problem, BaseException):
            raise problem
        return problem


class LobbyWorld(World):
    """The domains over one store, lobbies among them."""

    def __init__(self, store: Store, seed: int = 0, lobby_rules: LobbyRules | None = None) -> None:
        super().__init__(store, seed, lobby_rules=lobby_rules)
        self.answers = Answers()
        self.activity = RoomActivity()
        self.lobbies = LobbyService(store, self.clock, self.rng)
        self.lobby_loop = LobbyLoop(store, store.bells, self.answers, self.room_changes, self.clock, self.lobby_rules)
        self.rooms = self.room_service(self.lobby_rules)
        self.room_loop = RoomLoop(store, self.room_changes, self.activity, self.clock)

    def room_service(self, rules: LobbyRules) -> RoomService:
        """Rooms by other rules for what a request may do."""
        return RoomService(
            self.store,
            self.relay_planner,
            self.relay_writing,
            self.room_changes,
            self.confirmations,
            self.activity,
            self.clock,
            self.rng,
            rules,
        )

    def ruled(self, **rules: Any) -> RoomService:
        return self.room_service(replace(self.lobby_rules, **rules))

    async def organisation(self, name: str) -> OrganisationId:
        """One more organisation."""
        made = OrganisationId(name)

        async def unit(tx: Transaction) -> None:
            await tx.accounts.add_organisation(Organisation(made, name, self.clock.now()), "whsec_x")

        await self.store.write(unit)
        return made

    async def released(self, name: str = LOBBY, organisation: OrganisationId = ORGANISATION) -> Lobby:
        """A lobby that serves."""
        await self.lobbies.create(organisation, name)
        await self.lobbies.deploy(organisation, name)
        await self.lobby_loop.step()
        return await self.lobbies.find(organisation, name)

    async def terminated(self, name: str = LOBBY) -> Lobby:
        await self.lobbies.terminate(ORGANISATION, name)
        await self.lobby_loop.step()
        return await self.lobbies.find(ORGANISATION, name)

    async def room(self, player: str = "host", source: str = HOST, **members: Any) -> Room:
        """A room with its host in it; the lobby is made when there is none."""
        if not await self.lobbies.all(ORGANISATION):
            await self.released()
        draft = RoomDraft(name="Friday", capacity=4, player_id=player)
        return await self.rooms.create(LOBBY, replace(draft, **members), source)

    async def started(self, relay: HandRelay, *guests: str, **members: Any) -> Room:
        """A room whose relay session is ready, with guests that were in it before."""
        room = await self.room(**members)
        for guest in guests:
            await self.rooms.join(LOBBY, room.room_id, guest, GUEST)
        await self.rooms.start(LOBBY, room.room_id, HOST)
        await relay.catch_up()
        return await self.see(room)

    async def see(self, room: Room) -> Room:
        """The room as everybody sees it."""
        return await self.rooms.find(LOBBY, room.room_id)

    async def listed(self, *tags: str) -> list[RoomBrief]:
        return list((await self.rooms.all(LOBBY, tags))[1])

    async def relay_session(self, room: Room) -> RelaySession:
        assert room.relay_session is not None
        return await self.relays.find(ORGANISATION, room.relay_session)

    async def relay_sessions(self) -> int:
        """How many relay sessions are to be served, or were not forgotten yet after they failed."""

        async def unit(tx: Transaction) -> int:
            return sum(count for status, count in (await tx.census.relay_sessions()).items() if status != "TERMINATING")

        return await self.store.read(unit)

    async def every_room(self) -> list[Room]:
        """All rooms, as the store has them."""
        return (await self.snapshot())[0]

    async def every_lobby(self) -> list[Lobby]:
        """All lobbies, whoever has them."""

        async def unit(tx: Transaction) -> list[Lobby]:
            found = [await tx.lobbies.at(row["address"]) for row in await tx.connection.fetch(_LOBBIES)]
            return [lobby for lobby in found if lobby is not None]

        return await self.store.scan(unit)

    async def snapshot(self) -> tuple[list[Room], list[RoomBrief]]:
        """All rooms, and the list of those in the usual lobby at the same moment."""

        async def unit(tx: Transaction) -> tuple[list[Room], list[RoomBrief]]:
            rows = await tx.connection.fetch(_ROOMS)
            found = [await tx.rooms.find(row["lobby_address"], RoomId(row["room_id"])) for row in rows]
            return [room for room in found if room is not None], list(await tx.rooms.briefs(LOBBY, 1000))

        return await self.store.scan(unit)

    async def spoil(self, room: Room, document: str = "what is this?") -> str:
        """Write something into the room's row that nobody can read; what was there."""

        async def unit(tx: Transaction) -> str:
            row = await tx.connection.fetch_one(_DOCUMENT, room.room_id)
            assert row is not None
            await tx.connection.execute(_SPOIL, room.room_id, document)
            return str(row["document"])

        return await self.store.write(unit)

    async def unconfirmed(self, call: Coroutine[Any, Any, object], relay: HandRelay) -> None:
        """Let the time of a call pass whose change its relay does not confirm."""
        calling = await self.under_way(call, relay)
        self.clock.pass_seconds(CONFIRMING_SECONDS + 1)
        with pytest.raises(Unavailable, match="has not confirmed"):
            await calling

    async def under_way(self, call: Coroutine[Any, Any, Result], relay: HandRelay) -> "asyncio.Task[Result]":
        """Begin a call that waits for its relay, once what it wants is written down."""
        before = await self.relay_serving.last_change(relay.name)
        calling = asyncio.create_task(call)

        async def is_written() -> bool:
            return calling.done() or await self.relay_serving.last_change(relay.name) > before

        await eventually_async(is_written)
        return calling
