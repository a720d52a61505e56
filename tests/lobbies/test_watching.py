"""Following rooms: what followers see, and what it costs."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from tests.lobbies.world import GUEST, HOST, LOBBY, LobbyWorld
from tests.polling import GENEROUS_SECONDS, eventually_async
from tests.stores import emptied
from waymeet.lobbies.bells import ROOM
from waymeet.lobbies.types import Room, RoomUpdate
from waymeet.lobbies.watching import RoomWatch
from waymeet.model.errors import NotFound, TooManyRequests, Unavailable
from waymeet.store.postgres import PostgresStore

pytestmark = pytest.mark.anyio


class Finder:
    """Finds rooms, counts how often, and fails when the test says so."""

    def __init__(self, world: LobbyWorld) -> None:
        self._world = world
        self.finds = 0
        self.fault: Exception | None = None

    async def __call__(self, lobby_address: str, room_id: str) -> Room:
        self.finds += 1
        if self.fault is not None:
            raise self.fault
        return await self._world.rooms.find(lobby_address, room_id)


@pytest.fixture
def finder(world: LobbyWorld) -> Finder:
    return Finder(world)


@pytest.fixture
def watch(world: LobbyWorld, finder: Finder) -> RoomWatch:
    return RoomWatch(finder, world.store.bells, followers=100, followers_per_source=0)


async def following(versions: AsyncGenerator[Room | None, None]) -> Room | None:
    """What comes next; a failure when nothing comes."""
    async with asyncio.timeout(GENEROUS_SECONDS):
        return await anext(versions)


async def change(world: LobbyWorld, room: Room, tag: str) -> Room:
    return await world.rooms.update(LOBBY, room.room_id, RoomUpdate(tags=(tag,)), HOST)


async def test_one_look_for_each_change_however_many_follow(
    world: LobbyWorld, watch: RoomWatch, finder: Finder
) -> None:
    room = await world.room()
    seen = 0

    async def follow() -> None:
        nonlocal seen
        async with watch.follow(LOBBY, room.room_id, HOST, None) as versions:
            async for version in versions:
                if version is None:
                    return
                seen += 1

    followers = [asyncio.create_task(follow()) for _ in range(50)]

    async def all_saw(count: int) -> bool:
        return seen >= count * 50

    await eventually_async(partial(all_saw, 1))
    before = finder.finds
    for number in range(1, 5):
        await change(world, room, str(number))
        await eventually_async(partial(all_saw, number + 1))
    await world.rooms.delete(LOBBY, room.room_id, HOST)
    await asyncio.gather(*followers)
    assert finder.finds - before <= 2 * 5
    assert (watch.count, watch._watched, watch._by_source) == (0, {}, {})


async def test_a_change_between_the_look_and_the_following_is_not_missed(world: LobbyWorld, watch: RoomWatch) -> None:
    room = await world.room()
    async with watch.follow(LOBBY, room.room_id, HOST, room.version) as versions:
        changed = await change(world, room, "at once")
        assert await following(versions) == changed
        async with watch.follow(LOBBY, room.room_id, GUEST, None) as others:
            assert await following(others) == changed
        later = await change(world, room, "later")
        assert await following(versions) == later


async def test_whoever_comes_back_after_the_last_has_gone(world: LobbyWorld, watch: RoomWatch) -> None:
    room = await world.room()
    for number in range(20):
        async with watch.follow(LOBBY, room.room_id, HOST, None) as versions:
            assert (await following(versions)) is not None
            changed = await change(world, room, str(number))
            assert await following(versions) == changed

    async def is_forgotten() -> bool:
        return not watch._watched

    await eventually_async(is_forgotten)


async def test_levels_not_deltas(world: LobbyWorld, watch: RoomWatch) -> None:
    room = await world.room()
    async with (
        watch.follow(LOBBY, room.room_id, HOST, None) as slow,
        watch.follow(LOBBY, room.room_id, HOST, None) as quick,
    ):
        assert await following(slow) == await following(quick) == room
        for number in range(5):
            assert await change(world, room, str(number)) == await following(quick)
        assert await following(slow) == await world.see(room)
        await change(world, room, "last")
        await world.rooms.delete(LOBBY, room.room_id, HOST)
        while (version := await following(quick)) is not None:
            assert version.tags == ("last",)
        assert await following(slow) is None
        assert await anext(slow, "over") == "over"


async def test_an_outage_of_the_store_is_waited_out(world: LobbyWorld, watch: RoomWatch, finder: Finder) -> None:
    room = await world.room()
    async with watch.follow(LOBBY, room.room_id, HOST, None) as versions:
        await following(versions)
        finder.fault = Unavailable("the database is away")
        before = finder.finds
        changed = await change(world, room, "meanwhile")

        async def has_failed() -> bool:
            return finder.finds > before

        await eventually_async(has_failed)
        with pytest.raises(Unavailable):
            async with watch.follow(LOBBY, room.room_id, GUEST, None):
                pass
        assert watch.count == 1
        finder.fault = None
        # No bell rings any more: it looks again by itself.
        assert await following(versions) == changed


async def test_lost_bells_are_made_up_for_when_all_are_rung(world: LobbyWorld, watch: RoomWatch) -> None:
    """As after a new connection to the database."""
    room = await world.room()
    bells = _Deaf()
    # Looking without a bell would take longer than a test may.
    deaf = RoomWatch(world.rooms.find, bells, followers=10, followers_per_source=0, poll_seconds=1000)
    async with deaf.follow(LOBBY, room.room_id, HOST, None) as versions:
        await following(versions)
        changed = await change(world, room, "unheard")
        bells.listener(None)
        assert await following(versions) == changed


async def test_without_any_bell_it_looks_now_and_then(world: LobbyWorld) -> None:
    room = await world.room()
    deaf = RoomWatch(world.rooms.find, _Deaf(), followers=10, followers_per_source=0, poll_seconds=0.01)
    async with deaf.follow(LOBBY, room.room_id, HOST, None) as versions:
        await following(versions)
        changed = await change(world, room, "unheard")
        assert await following(versions) == changed


class _Deaf:
    """Bells that the test rings by hand."""

    listener: Callable[[str | None], None]

    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]:
        assert topic == ROOM
        self.listener = listener
        return lambda: None


async def test_limits(world: LobbyWorld) -> None:
    room = await world.room()
    watch = RoomWatch(world.rooms.find, world.store.bells, followers=3, followers_per_source=2)

    def follow(source: str) -> AbstractAsyncContextManager[AsyncGenerator[Room | None, None]]:
        return watch.follow(LOBBY, room.room_id, source, None)

    async with follow(HOST), follow(HOST):
        with pytest.raises(TooManyRequests):
            await follow(HOST).__aenter__()
        async with follow(GUEST):
            with pytest.raises(Unavailable):
                await follow(GUEST).__aenter__()
        async with follow(GUEST):
            assert watch.count == 3
    with pytest.raises(NotFound):
        await watch.follow(LOBBY, "0" * 32, HOST, None).__aenter__()
    assert (watch.count, watch._by_source) == (0, {})


async def test_all_end_when_this_process_stops(world: LobbyWorld, watch: RoomWatch) -> None:
    rooms = [await world.room() for _ in range(3)]

    async def follow(room: Room) -> list[Room | None]:
        async with watch.follow(LOBBY, room.room_id, HOST, None) as versions:
            return [version async for version in versions]

    followers = [asyncio.create_task(follow(room)) for room in rooms for _ in range(3)]

    async def all_follow() -> bool:
        return watch.count == 9

    await eventually_async(all_follow)
    watch.close()
    # None of them is told that the room is gone.
    assert None not in [version for versions in await asyncio.gather(*followers) for version in versions]
    with pytest.raises(Unavailable, match="stopping"):
        await watch.follow(LOBBY, rooms[0].room_id, HOST, None).__aenter__()
    watch.close()


@pytest.fixture
async def replicas(postgres_database: str, anyio_backend: str) -> AsyncIterator[tuple[LobbyWorld, LobbyWorld]]:
    """Two control planes over one database."""
    url = await emptied(postgres_database)
    stores = [PostgresStore(url, pool_size=4) for _ in range(2)]
    for store in stores:
        await store.open()
    first, second = [LobbyWorld(store, seed) for seed, store in enumerate(stores)]
    yield await first.found(), second
    for store in stores:
        await store.close()


async def test_changes_made_by_another_process(replicas: tuple[LobbyWorld, LobbyWorld]) -> None:
    here, there = replicas
    watch = RoomWatch(there.rooms.find, there.store.bells, followers=10, followers_per_source=0)
    room = await here.room()
    rng = random.Random(5)
    async with watch.follow(LOBBY, room.room_id, HOST, None) as versions:
        assert await following(versions) == room
        for number in range(10):
            changed = await change(rng.choice(replicas), room, str(number))
            assert await following(versions) == changed
        await here.rooms.delete(LOBBY, room.room_id, HOST)
        assert await following(versions) is None
