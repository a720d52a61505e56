"""How long rooms last: the original knows no heartbeat, so only being asked for keeps a room that is not started."""

import pytest

from tests.lobbies.world import GUEST, HOST, LOBBY, LobbyWorld
from tests.relays.hands import HandRelay
from tests.stores import Store
from tests.world import ORGANISATION
from waymeet.lobbies.deadlines import NOTED_SECONDS
from waymeet.lobbies.room_loop import ACTIVITY_SECONDS, ROOMS_PER_UNIT
from waymeet.lobbies.types import LobbyRules, Room, RoomUpdate
from waymeet.model.errors import NotFound

pytestmark = pytest.mark.anyio

IDLE = 30 * 60
LONGEST = 24 * 3600


async def is_there(world: LobbyWorld, room: Room) -> bool:
    """Whether the room is there, without asking for it."""
    while await world.room_loop.act_on_due():
        pass
    return any(found.room_id == room.room_id for found in await world.every_room())


async def test_a_room_that_nobody_asks_for_ends(world: LobbyWorld) -> None:
    room = await world.room()
    world.clock.pass_seconds(IDLE)
    assert await is_there(world, room)
    world.clock.pass_seconds(NOTED_SECONDS)
    assert not await is_there(world, room)


async def test_asking_for_it_keeps_it_and_asking_for_the_list_does_not(world: LobbyWorld) -> None:
    asked, listed = await world.room(), await world.room()
    for _ in range(4):
        world.clock.pass_seconds(IDLE / 2)
        await world.see(asked)
        await world.listed()
        await world.room_loop.write_activity()
        await is_there(world, asked)
    assert [room.room_id for room in await world.every_room()] == [asked.room_id]
    assert listed.room_id != asked.room_id


@pytest.mark.parametrize("call", ["join", "join again", "leave", "update", "start in vain"])
async def test_whatever_names_it_keeps_it(world: LobbyWorld, call: str) -> None:
    room = await world.room()
    await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    world.clock.pass_seconds(IDLE)
    match call:
        case "join":
            await world.rooms.join(LOBBY, room.room_id, "cat", GUEST)
        case "join again":
            await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
        case "leave":
            await world.rooms.leave(LOBBY, room.room_id, "bob", HOST)
        case "update":
            await world.rooms.update(LOBBY, room.room_id, RoomUpdate(capacity=9), HOST)
        case _:
            with pytest.raises(Exception, match="no relay"):
                await world.rooms.start(LOBBY, room.room_id, HOST)
    await world.room_loop.write_activity()
    world.clock.pass_seconds(IDLE)
    assert await is_there(world, room)
    world.clock.pass_seconds(NOTED_SECONDS)
    assert not await is_there(world, room)


async def test_what_is_not_written_down_yet_counts(store: Store, anyio_backend: str) -> None:
    """However short the idle time: it is known only some seconds later that somebody asked."""
    world = await LobbyWorld(store, lobby_rules=LobbyRules(url="x/{address}", idle_minutes=0.1)).found()
    room = await world.room()
    for second in range(60):
        world.clock.pass_seconds(1)
        await world.see(room)
        if second % ACTIVITY_SECONDS == ACTIVITY_SECONDS - 1:
            # Another process writes its own down at other times.
            await world.room_loop.write_activity()
        assert await is_there(world, room)
    world.clock.pass_seconds(6 + NOTED_SECONDS)
    assert not await is_there(world, room)


async def test_a_started_room_needs_nobody_to_ask_for_it(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay)
    world.clock.pass_seconds(LONGEST - 60)
    assert await is_there(world, room)
    assert not await world.room_loop.act_on_due()


async def test_no_room_lasts_longer_than_a_day(world: LobbyWorld, relay: HandRelay) -> None:
    started, waiting = await world.started(relay), await world.room()
    for _ in range(24):
        world.clock.pass_seconds(LONGEST / 24 - 1)
        await world.see(waiting)
        await world.room_loop.write_activity()
        assert await is_there(world, waiting)
    world.clock.pass_seconds(24)
    assert not await is_there(world, waiting)
    assert not await is_there(world, started)
    await relay.catch_up()
    assert relay.serves == {}
    with pytest.raises(NotFound):
        await world.relays.find(ORGANISATION, str(started.relay_session))


async def test_more_rooms_than_one_transaction_ends(world: LobbyWorld) -> None:
    rooms = world.ruled(rooms_per_address=0)
    world.rooms = rooms
    for _ in range(ROOMS_PER_UNIT + 1):
        await world.room()
    world.clock.pass_seconds(IDLE + NOTED_SECONDS)
    assert await world.room_loop.act_on_due()
    assert len(await world.every_room()) == 1
    assert not await world.room_loop.act_on_due()
    assert await world.every_room() == []


async def test_an_idle_loop_writes_nothing(world: LobbyWorld, relay: HandRelay) -> None:
    await world.room()
    await world.started(relay)
    writes = 0
    write = world.store.write

    async def counted(unit: object) -> object:
        nonlocal writes
        writes += 1
        return await write(unit)  # type: ignore[arg-type]

    watched = type(
        "Watched", (), {"write": staticmethod(counted), "read": world.store.read, "scan": world.store.scan}
    )()
    world.room_loop._store = world.room_loop._apart._store = watched
    world.lobby_loop._store = watched
    await world.room_loop.write_activity()
    written = writes
    for _ in range(3):
        world.clock.pass_seconds(ACTIVITY_SECONDS)
        assert not await world.room_loop.act_on_due()
        await world.room_loop.put_abandoned_back()
        await world.room_loop.write_activity()
        assert not await world.lobby_loop.step()
    assert writes == written
