"""What players may rely on, whatever happens at once: by scripts that chance writes, the same in every run."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest

from tests.lobbies.world import GUEST, HOST, LOBBY, THIRD, LobbyWorld
from tests.relays.hands import HandRelay
from tests.stores import Store
from tests.world import CONFIRMING_SECONDS, ORGANISATION
from waymeet.http.lobby.wire import RoomBody, room_body
from waymeet.lobbies.types import Room, RoomUpdate
from waymeet.lobbies.watching import RoomWatch
from waymeet.model.errors import NotFound, WaymeetError

pytestmark = pytest.mark.anyio

STEPS = 300
SOURCES = (HOST, GUEST, THIRD)
NAMES = ("ann", "bob", "cat", "dan", "eve")


class Game:
    """Players, relays and an operator who do what comes to their minds, and somebody who looks at all of it."""

    def __init__(self, world: LobbyWorld, relays: list[HandRelay], rng: random.Random) -> None:
        self.world = world
        self.relays = relays
        self.rng = rng
        self.watch = RoomWatch(world.rooms.find, world.store.bells, followers=1000, followers_per_source=0)
        self.bodies: dict[tuple[str, int], RoomBody] = {}
        self.ready_seen = 0
        self.calls: set[asyncio.Task[None]] = set()
        self.followers: list[asyncio.Task[None]] = []
        self.rooms: list[Room] = []

    async def play(self) -> None:
        await self._make_room()
        steps: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (2, self._make_room),
            (14, self._ask),
            (8, self._hear),
            (8, self._confirm),
            (2, self._node_says_something),
            (2, self._pass_time),
        ]
        weights = [weight for weight, _ in steps]
        for _ in range(STEPS):
            ((_, step),) = self.rng.choices(steps, weights)
            await step()
            # Calls that wait for their relay go on meanwhile.
            await asyncio.sleep(0)
            await self._look()
        await self._come_to_rest()

    async def _make_room(self) -> None:
        if len(self.rooms) < 4:
            room = await self.world.room(
                self.rng.choice(NAMES), self.rng.choice(SOURCES), capacity=4, host_migration=self.rng.random() < 0.5
            )
            self.rooms.append(room)
            self.followers.append(asyncio.create_task(self._follow(room)))

    async def _ask(self) -> None:
        rooms, rng = self.world.rooms, self.rng
        room_id, name, source = rng.choice(self.rooms).room_id, rng.choice(NAMES), rng.choice(SOURCES)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "join": lambda: rooms.join(LOBBY, room_id, name, source),
            "leave": lambda: rooms.leave(LOBBY, room_id, name, HOST),
            "start": lambda: rooms.start(LOBBY, room_id, source),
            "update": lambda: rooms.update(LOBBY, room_id, RoomUpdate(capacity=rng.randint(1, 5)), source),
            "delete": lambda: rooms.delete(LOBBY, room_id, source),
            "delete session": lambda: self._delete_session(room_id),
        }
        (chosen,) = rng.choices([*calls], [10, 4, 5, 1, 0.3, 0.5])
        call = asyncio.create_task(self._refusable(calls[chosen]))
        self.calls.add(call)
        call.add_done_callback(self.calls.discard)

    async def _delete_session(self, room_id: str) -> None:
        room = await self.world.rooms.find(LOBBY, room_id)
        await self.world.relays.delete(ORGANISATION, str(room.relay_session))

    @staticmethod
    async def _refusable(call: Callable[[], Awaitable[object]]) -> None:
        with suppress(WaymeetError):
            await call()

    async def _hear(self) -> None:
        relay = self.rng.choice(self.relays)
        if not await relay.hear():
            # It was deaf for too long to be told what changed.
            await relay.start_again()

    async def _confirm(self) -> None:
        await self.rng.choice(self.relays).confirm()

    async def _node_says_something(self) -> None:
        relay = self.rng.choice(self.relays)
        if not relay.serves:
            return
        key = self.rng.choice(sorted(relay.serves))
        serving = self.world.relay_serving
        say = self.rng.choice((serving.hosts_silent, serving.hosts_silent, serving.refused, serving.idle))
        await say(relay.name, [key])

    async def _pass_time(self) -> None:
        self.world.clock.pass_seconds(self.rng.choice((1, CONFIRMING_SECONDS + 1, 31)))
        await self.world.room_loop.act_on_due()
        await self.world.relay_loop.act_on_due()

    async def _look(self) -> None:
        rooms, briefs = await self.world.snapshot()
        found = {room.room_id: room for room in rooms}
        self.rooms = [room for room in self.rooms if room.room_id in found]
        if not self.rooms:
            await self._make_room()
        for room in found.values():
            assert len(room.members) <= max(room.capacity, 1)
            self._see(room)
            if room.assignment is not None:
                self.ready_seen += 1
                (serves,) = [relay.serves for relay in self.relays if room.relay_session in relay.serves]
                let_in = {member.token for member in serves[str(room.relay_session)].members}
                assert {member.token for member in room.present} <= let_in
        for brief in briefs:
            room = found[brief.room_id]
            assert (brief.player_count, brief.is_started) == (len(room.present), room.is_started)

    def _see(self, room: Room) -> None:
        """No tokens without assignment, no assignment without tokens, and one version always looks the same."""
        body = room_body(room)
        assert body.players[0].is_host
        assert [player.is_host for player in body.players].count(True) == 1
        for player in body.players:
            assert (player.authorization_token is None) == (body.assignment is None), body
        assert body.is_started or body.assignment is None
        assert self.bodies.setdefault((room.room_id, room.version), body) == body

    async def _follow(self, room: Room) -> None:
        """Every version that the stream of events would show, until the room is gone."""
        # It may be gone before anybody could follow it.
        with suppress(NotFound):
            await self._see_all(room)

    async def _see_all(self, room: Room) -> None:
        last = 0
        async with self.watch.follow(LOBBY, room.room_id, HOST, None) as versions:
            async for version in versions:
                if version is None:
                    return
                self._see(version)
                assert version.version > last
                last = version.version
        raise AssertionError("the room was not said to be gone")

    async def _catch_up(self) -> None:
        for relay in self.relays:
            if not await relay.hear():
                await relay.start_again()
            await relay.confirm()

    async def _come_to_rest(self) -> None:
        """Everybody gets an answer, and everything is as it was written down."""
        while self.calls:
            await self._catch_up()
            if self.calls:
                await asyncio.wait(self.calls, timeout=0.02)
        await self._catch_up()
        await self._look()
        rooms = await self.world.every_room()
        serving = {key: spec for relay in self.relays for key, spec in relay.serves.items()}
        assert set(serving) == {room.relay_session for room in rooms if room.is_started}
        for room in rooms:
            if room.is_started:
                spec = serving[str(room.relay_session)]
                assert room.assignment is not None
                assert {member.token for member in spec.members} == {member.token for member in room.members}
                assert spec.owner == room.host.token
        async with AsyncExitStack() as working:
            for relay in self.relays:
                await working.enter_async_context(relay.at_work())
            for room in rooms:
                await self.world.rooms.delete(LOBBY, room.room_id, HOST)
        # Whoever follows misses no end.
        await asyncio.gather(*self.followers)
        assert all(not relay.serves for relay in self.relays)


@pytest.mark.parametrize("seed", range(12))
async def test_no_assignment_without_tokens_and_no_token_without_assignment(
    store: Store, anyio_backend: str, seed: int
) -> None:
    world = await LobbyWorld(store, seed).found()
    relays = [await HandRelay.joined(world, name, capacity=3) for name in ("first", "second")]
    game = Game(world, relays, random.Random(seed))
    await game.play()
    await world.check_invariants()
    assert game.ready_seen, "a script in which nobody ever plays shows nothing"
