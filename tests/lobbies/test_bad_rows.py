"""A room that nobody can read or act on holds up none of the others, and is acted on once it is mended."""

import asyncio
import logging

import pytest

from tests.lobbies.world import GUEST, HOST, LOBBY, LobbyWorld
from tests.polling import GENEROUS_SECONDS, eventually_async
from tests.relays.hands import HandRelay
from tests.world import ORGANISATION
from waymeet.lobbies.apart import BACK_OFF_SECONDS
from waymeet.lobbies.room_loop import ROOMS_PER_UNIT
from waymeet.lobbies.types import RoomDraft, UnreadableRoom
from waymeet.lobbies.watching import RoomWatch
from waymeet.model.errors import NotFound
from waymeet.model.states import LobbyStatus
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

_MAKE_DUE = Statement("UPDATE room SET due_at = $1")
_SPOIL_SESSION = Statement("UPDATE relay_session SET users = 'what is this?' WHERE session_id = $1")
_MEND_SESSION = Statement("UPDATE relay_session SET users = '[]' WHERE session_id = $1")
NOBODY = '{"members":[],"annotations":[],"host_migration":false,"assignment":null,"error":null}'


async def make_due(world: LobbyWorld) -> None:
    now = world.clock.now()

    async def unit(tx: Transaction) -> None:
        await tx.connection.execute(_MAKE_DUE, now)

    await world.store.write(unit)


async def ids(world: LobbyWorld) -> set[str]:
    return {room.room_id for room in await world.listed()}


async def run(world: LobbyWorld, statement: Statement, *values: str) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.connection.execute(statement, *values)

    await world.store.write(unit)


@pytest.mark.parametrize("document", ["what is this?", "{}", NOBODY])
async def test_only_the_room_itself_cannot_be_used(world: LobbyWorld, document: str) -> None:
    bad, good = await world.room(), await world.room()
    mended = await world.spoil(bad, document)
    for call in (
        world.see(bad),
        world.rooms.join(LOBBY, bad.room_id, "bob", GUEST),
        world.rooms.delete(LOBBY, bad.room_id, HOST),
    ):
        with pytest.raises(UnreadableRoom, match=bad.room_id):
            await call
    assert await ids(world) == {bad.room_id, good.room_id}
    assert await world.see(good) == good
    await world.spoil(bad, mended)
    assert await world.see(bad) == bad


async def test_an_old_one_ends_like_any_other(world: LobbyWorld, relay: HandRelay) -> None:
    bad, good = await world.started(relay), await world.started(relay)
    await world.spoil(bad)
    world.clock.pass_seconds(24 * 3600)
    await world.room_loop.act_on_due()
    assert await ids(world) == set()
    await relay.catch_up()
    assert relay.serves == {}
    assert good.room_id != bad.room_id


async def test_deadlines_of_the_others_are_acted_on(world: LobbyWorld, caplog: pytest.LogCaptureFixture) -> None:
    rooms = world.ruled(rooms_per_address=0)
    world.rooms = rooms
    bad = [await world.room() for _ in range(ROOMS_PER_UNIT)]
    mended = [await world.spoil(room) for room in bad]
    good = await world.room()
    await make_due(world)
    for _ in range(5):
        world.clock.pass_seconds(1)
        await world.room_loop.act_on_due()
    assert caplog.text.count("is left alone for 60 s") == len(bad)
    assert (await world.see(good)).due_at > world.clock.now()
    world.clock.pass_seconds(BACK_OFF_SECONDS)
    await world.room_loop.act_on_due()
    assert caplog.text.count("is left alone for 60 s") == 2 * len(bad)
    for room, document in zip(bad, mended, strict=True):
        await world.spoil(room, document)
    world.clock.pass_seconds(BACK_OFF_SECONDS)
    await world.room_loop.act_on_due()
    assert (await world.see(bad[0])).due_at > world.clock.now()


async def test_relays_go_their_way_without_it(
    world: LobbyWorld, relay: HandRelay, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await world.room(), await world.room()
    for room in (bad, good):
        await world.rooms.start(LOBBY, room.room_id, HOST)
    mended = await world.spoil(bad)
    await relay.catch_up()
    assert (await world.see(good)).assignment is not None
    assert f"room {bad.room_id} cannot be read" in caplog.text
    # Mended, it is brought in step by whoever asks for something in it.
    await world.spoil(bad, mended)
    async with relay.at_work():
        joined = await world.rooms.join(LOBBY, bad.room_id, "bob", GUEST)
    assert joined.assignment is not None
    assert None not in [member.token for member in joined.present]


@pytest.mark.parametrize("way", ["deleted", "failed", "refused", "unused"])
async def test_the_loop_puts_back_what_did_not_follow(world: LobbyWorld, relay: HandRelay, way: str) -> None:
    bad, good = await world.started(relay), await world.started(relay)
    mended = await world.spoil(bad)
    session = str(bad.relay_session)
    match way:
        case "deleted":
            async with relay.at_work():
                await world.relays.delete(ORGANISATION, session)
        case "refused":
            await world.relay_serving.refused(relay.name, [session])
        case "unused":
            await world.relay_serving.idle(relay.name, [session])
        case _:
            await world.relay_serving.refused(relay.name, [session])
            world.clock.pass_seconds(3601)
            await relay.catch_up()
            await world.relay_loop.act_on_due()
    for _ in range(2):
        await world.room_loop.put_abandoned_back()
    await world.spoil(bad, mended)
    world.clock.pass_seconds(BACK_OFF_SECONDS)
    await world.room_loop.put_abandoned_back()
    back = await world.see(bad)
    assert (back.is_started, back.assignment, [member.token for member in back.present]) == (False, None, [None])
    assert back.version > bad.version
    assert await world.see(good) == good
    await world.rooms.start(LOBBY, bad.room_id, HOST)
    await relay.catch_up()
    assert (await world.see(bad)).assignment is not None


async def test_whoever_asks_first_puts_it_back(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay)
    mended = await world.spoil(room)
    await world.relay_serving.refused(relay.name, [str(room.relay_session)])
    await world.spoil(room, mended)
    joined = await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    assert (joined.is_started, [member.token for member in joined.present]) == (False, [None, None])
    assert joined.error == "relay 'relay' has no room for it and its users"


async def test_a_lobby_is_terminated_whatever_is_in_it(world: LobbyWorld, relay: HandRelay) -> None:
    await world.started(relay)
    await world.spoil(await world.started(relay))
    await world.spoil(await world.room())
    assert (await world.terminated()).status is LobbyStatus.TERMINATED
    await relay.catch_up()
    assert relay.serves == {}


async def test_a_room_that_cannot_be_ended_keeps_no_other(
    world: LobbyWorld, relay: HandRelay, caplog: pytest.LogCaptureFixture
) -> None:
    rooms = world.ruled(rooms_per_address=0)
    world.rooms = rooms
    for _ in range(ROOMS_PER_UNIT):
        await world.room()
    stuck = await world.started(relay)
    others = [await world.started(relay) for _ in range(3)]
    await run(world, _SPOIL_SESSION, str(stuck.relay_session))
    await world.released("other")
    kept = await world.rooms.create("other", RoomDraft(name="Friday", capacity=2, player_id="host"), HOST)
    caplog.set_level(logging.ERROR)
    assert (await world.terminated()).status is LobbyStatus.TERMINATING
    assert {room.room_id for room in await world.every_room()} == {stuck.room_id, kept.room_id}
    assert stuck.room_id not in {other.room_id for other in others}
    assert caplog.text.count(f"room {stuck.room_id} is left alone") == 1
    for _ in range(5):
        await world.lobby_loop.step()
    assert caplog.text.count("is left alone") == 2, "the room's and the lobby's"
    await world.lobbies.terminate(ORGANISATION, "other")
    await world.lobby_loop.step()
    assert (await world.lobbies.find(ORGANISATION, "other")).status is LobbyStatus.TERMINATED
    await run(world, _MEND_SESSION, str(stuck.relay_session))
    world.clock.pass_seconds(BACK_OFF_SECONDS)
    await world.lobby_loop.step()
    assert (await world.lobbies.find(ORGANISATION, LOBBY)).status is LobbyStatus.TERMINATED
    assert await world.every_room() == []


async def test_whoever_follows_it_waits_until_it_can_be_read(
    world: LobbyWorld, caplog: pytest.LogCaptureFixture
) -> None:
    room = await world.room()
    watch = RoomWatch(world.rooms.find, world.store.bells, followers=10, followers_per_source=0)
    async with watch.follow(LOBBY, room.room_id, HOST, None) as versions:
        assert await anext(versions) == room
        mended = await world.spoil(room)
        world.store.bells.ring("room", room.room_id)

        async def is_said() -> bool:
            return f"room {room.room_id} could not be looked at" in caplog.text

        await eventually_async(is_said)
        await world.spoil(room, mended)
        await world.rooms.delete(LOBBY, room.room_id, HOST)
        async with asyncio.timeout(GENEROUS_SECONDS):
            assert await anext(versions) is None
    with pytest.raises(NotFound):
        await world.see(room)
