"""Rooms before they are started: made, listed, changed, joined, left, closed."""

import asyncio

import pytest

from tests.lobbies.world import GUEST, HOST, LOBBY, THIRD, LobbyWorld
from tests.world import ORGANISATION
from waymeet.lobbies.types import Annotation, HostCheck, Room, RoomDraft, RoomUpdate
from waymeet.model.errors import Conflict, Forbidden, NotFound, TooManyRequests

pytestmark = pytest.mark.anyio

UNKNOWN = "0" * 32


def players(room: Room) -> list[str]:
    """Those whom everybody sees, the host first."""
    return [member.player_id for member in room.present]


async def test_a_new_room(world: LobbyWorld) -> None:
    await world.released()
    draft = RoomDraft(
        name="Friday",
        capacity=3,
        player_id="ann",
        is_joinable=False,
        tags=("eu", "ranked"),
        annotations=(Annotation(True, "map", "dust"),),
        host_migration=True,
    )
    room = await world.rooms.create(LOBBY, draft, HOST)
    assert len(room.room_id) == 32
    assert int(room.room_id, 16) > 0
    assert (room.name, room.capacity, room.is_joinable, room.host_migration) == ("Friday", 3, False, True)
    assert (room.tags, room.annotations) == (draft.tags, draft.annotations)
    assert (room.is_started, room.assignment, room.error) == (False, None, None)
    assert players(room) == ["ann"]
    assert (room.host.address, room.host.token) == (HOST, None)
    assert await world.see(room) == room
    (brief,) = await world.listed()
    assert (brief.room_id, brief.name, brief.player_count, brief.capacity) == (room.room_id, "Friday", 1, 3)
    assert (brief.is_joinable, brief.is_started, brief.tags) == (False, False, draft.tags)
    other = await world.rooms.create(LOBBY, draft, HOST)
    assert other.room_id != room.room_id
    assert [brief.room_id for brief in await world.listed()] == sorted([room.room_id, other.room_id], reverse=True)


async def test_newest_first_and_by_tags(world: LobbyWorld) -> None:
    made = []
    for tags in ((), ("a",), ("a", "b"), ("b", "a", "c")):
        world.clock.pass_seconds(1)
        made.append((await world.room(tags=tags)).room_id)
    made.reverse()
    assert [brief.room_id for brief in await world.listed()] == made
    for wanted, count in ((("a",), 3), (("b", "a"), 2), (("c", "c"), 1), (("d",), 0), (("A",), 0), (("a", "d"), 0)):
        assert [brief.room_id for brief in await world.listed(*wanted)] == made[:count]


async def test_no_rooms_where_no_lobby_serves(world: LobbyWorld) -> None:
    draft = RoomDraft(name="Friday", capacity=3, player_id="ann")

    async def refused() -> None:
        with pytest.raises(NotFound, match="'duel'"):
            await world.rooms.create(LOBBY, draft, HOST)

    await refused()
    await world.lobbies.create(ORGANISATION, LOBBY)
    await refused()
    with pytest.raises(NotFound, match="'duel'"):
        await world.listed()
    await world.lobbies.deploy(ORGANISATION, LOBBY)
    # It answers, so that one can see that it does; what would be made now might never be anybody's.
    assert await world.listed() == []
    await refused()
    await world.lobby_loop.step()
    await world.rooms.create(LOBBY, draft, HOST)
    await world.lobbies.terminate(ORGANISATION, LOBBY)
    await refused()
    with pytest.raises(NotFound, match="'duel'"):
        await world.listed()


async def test_each_lobby_has_its_own_rooms(world: LobbyWorld) -> None:
    room = await world.room()
    await world.released("other")
    assert (await world.rooms.all("other"))[1] == []
    with pytest.raises(NotFound):
        await world.rooms.find("other", room.room_id)
    for call in (
        world.rooms.join("other", room.room_id, "bob", GUEST),
        world.rooms.leave("other", room.room_id, "host", HOST),
        world.rooms.start("other", room.room_id, HOST),
        world.rooms.delete("other", room.room_id, HOST),
        world.rooms.update("other", room.room_id, RoomUpdate(capacity=9), HOST),
    ):
        with pytest.raises(NotFound):
            await call
    assert await world.see(room) == room


async def test_unknown_rooms_are_said_so_in_the_words_that_clients_look_for(world: LobbyWorld) -> None:
    await world.released()
    for call in (
        world.rooms.find(LOBBY, UNKNOWN),
        world.rooms.join(LOBBY, UNKNOWN, "bob", GUEST),
        world.rooms.leave(LOBBY, UNKNOWN, "bob", HOST),
        world.rooms.start(LOBBY, UNKNOWN, HOST),
        world.rooms.delete(LOBBY, UNKNOWN, HOST),
        world.rooms.update(LOBBY, UNKNOWN, RoomUpdate(capacity=9), HOST),
    ):
        with pytest.raises(NotFound, match="NotFound"):
            await call


async def test_joining(world: LobbyWorld) -> None:
    room = await world.room(capacity=3)
    joined = await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    assert players(joined) == ["host", "bob"]
    assert joined.version > room.version
    assert await world.see(room) == joined
    assert [brief.player_count for brief in await world.listed()] == [2]
    # The same player from the same address again is where it was.
    assert await world.rooms.join(LOBBY, room.room_id, "bob", GUEST) == joined
    with pytest.raises(Conflict, match="called 'bob'"):
        await world.rooms.join(LOBBY, room.room_id, "bob", THIRD)
    with pytest.raises(Conflict, match="called 'host'"):
        await world.rooms.join(LOBBY, room.room_id, "host", THIRD)
    await world.rooms.join(LOBBY, room.room_id, "cat", GUEST)
    with pytest.raises(Conflict, match="room for 3 players"):
        await world.rooms.join(LOBBY, room.room_id, "dan", THIRD)
    # Who is in already may say so again, also in a full one.
    assert players(await world.rooms.join(LOBBY, room.room_id, "cat", GUEST)) == ["host", "bob", "cat"]
    await world.rooms.leave(LOBBY, room.room_id, "bob", HOST)
    joined = await world.rooms.join(LOBBY, room.room_id, "dan", THIRD)
    assert players(joined) == ["host", "cat", "dan"]


async def test_not_joinable(world: LobbyWorld) -> None:
    room = await world.room(is_joinable=False)
    with pytest.raises(Conflict, match="not joinable"):
        await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    await world.rooms.update(LOBBY, room.room_id, RoomUpdate(is_joinable=True), THIRD)
    await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    await world.rooms.update(LOBBY, room.room_id, RoomUpdate(is_joinable=False), THIRD)
    assert players(await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)) == ["host", "bob"]


async def test_never_more_than_there_is_room_for(world: LobbyWorld) -> None:
    room = await world.room(capacity=5)
    answers = await asyncio.gather(
        *(world.rooms.join(LOBBY, room.room_id, f"player-{number}", GUEST) for number in range(16)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Room) for answer in answers) == 4
    assert sum(isinstance(answer, Conflict) for answer in answers) == 12
    assert len((await world.see(room)).members) == 5


async def test_changing(world: LobbyWorld) -> None:
    room = await world.room(tags=("a",))
    for guest in ("bob", "cat"):
        await world.rooms.join(LOBBY, room.room_id, guest, GUEST)
    changed = await world.rooms.update(LOBBY, room.room_id, RoomUpdate(capacity=3), THIRD)
    assert (changed.capacity, changed.is_joinable, changed.tags) == (3, True, ("a",))
    changed = await world.rooms.update(LOBBY, room.room_id, RoomUpdate(is_joinable=False, tags=()), THIRD)
    assert (changed.capacity, changed.is_joinable, changed.tags) == (3, False, ())
    with pytest.raises(Conflict, match="capacity: 3 players are in this lobby; 2 would be too few"):
        await world.rooms.update(LOBBY, room.room_id, RoomUpdate(capacity=2, tags=("x",)), THIRD)
    assert await world.see(room) == changed
    assert (await world.rooms.update(LOBBY, room.room_id, RoomUpdate(), THIRD)).capacity == 3


async def test_leaving(world: LobbyWorld) -> None:
    room = await world.room()
    for guest in ("bob", "cat"):
        await world.rooms.join(LOBBY, room.room_id, guest, GUEST)
    await world.rooms.leave(LOBBY, room.room_id, "bob", HOST)
    assert players(await world.see(room)) == ["host", "cat"]
    with pytest.raises(NotFound, match="'bob' is not in this lobby"):
        await world.rooms.leave(LOBBY, room.room_id, "bob", HOST)
    # There is no host migration in any client: without its host the room is over.
    await world.rooms.leave(LOBBY, room.room_id, "host", HOST)
    with pytest.raises(NotFound):
        await world.see(room)
    with pytest.raises(NotFound):
        await world.rooms.leave(LOBBY, room.room_id, "cat", HOST)
    assert await world.listed() == []


async def test_the_next_in_line_becomes_host_where_the_room_was_made_so(world: LobbyWorld) -> None:
    room = await world.room(host_migration=True)
    for guest in ("bob", "cat"):
        await world.rooms.join(LOBBY, room.room_id, guest, GUEST)
    await world.rooms.leave(LOBBY, room.room_id, "host", HOST)
    assert players(await world.see(room)) == ["bob", "cat"]
    await world.rooms.leave(LOBBY, room.room_id, "bob", HOST)
    assert players(await world.see(room)) == ["cat"]
    await world.rooms.leave(LOBBY, room.room_id, "cat", HOST)
    with pytest.raises(NotFound):
        await world.see(room)


async def test_deleting(world: LobbyWorld) -> None:
    room = await world.room()
    await world.rooms.delete(LOBBY, room.room_id, THIRD)
    for call in (world.see(room), world.rooms.delete(LOBBY, room.room_id, THIRD)):
        with pytest.raises(NotFound, match="NotFound"):
            await call


async def test_only_the_hosts_address_where_the_operator_says_so(world: LobbyWorld) -> None:
    rooms = world.ruled(host_check=HostCheck.HOST_ADDRESS)
    room = await world.room(host_migration=True)
    await rooms.join(LOBBY, room.room_id, "bob", GUEST)
    for call in (
        rooms.start(LOBBY, room.room_id, GUEST),
        rooms.update(LOBBY, room.room_id, RoomUpdate(capacity=9), GUEST),
        rooms.delete(LOBBY, room.room_id, GUEST),
    ):
        with pytest.raises(Forbidden, match="only the host"):
            await call
    assert (await rooms.update(LOBBY, room.room_id, RoomUpdate(capacity=9), HOST)).capacity == 9
    # To take the host out would be a way around all that; everybody may go.
    with pytest.raises(Forbidden, match="only the host"):
        await rooms.leave(LOBBY, room.room_id, "host", GUEST)
    await rooms.join(LOBBY, room.room_id, "cat", GUEST)
    await rooms.leave(LOBBY, room.room_id, "cat", GUEST)
    # Whoever became host is host.
    await rooms.leave(LOBBY, room.room_id, "host", HOST)
    with pytest.raises(Forbidden):
        await rooms.delete(LOBBY, room.room_id, HOST)
    await rooms.delete(LOBBY, room.room_id, GUEST)


async def test_an_update_that_changes_nothing_is_told_to_nobody(world: LobbyWorld) -> None:
    room = await world.room()
    for update in (RoomUpdate(), RoomUpdate(capacity=room.capacity, is_joinable=True, tags=room.tags)):
        assert (await world.rooms.update(LOBBY, room.room_id, update, HOST)).version == room.version
    assert (await world.rooms.update(LOBBY, room.room_id, RoomUpdate(tags=("eu",)), HOST)).version > room.version


async def test_limits(world: LobbyWorld) -> None:
    rooms = world.ruled(rooms=3, rooms_per_address=2, members_per_address=2)
    await world.released()
    draft = RoomDraft(name="Friday", capacity=9, player_id="ann")
    first, second = [await rooms.create(LOBBY, draft, HOST) for _ in range(2)]
    with pytest.raises(TooManyRequests, match=f"2 lobbies were made from {HOST}"):
        await rooms.create(LOBBY, draft, HOST)
    await rooms.create(LOBBY, draft, GUEST)
    with pytest.raises(Conflict, match="3 lobbies here, which is the limit"):
        await rooms.create(LOBBY, draft, GUEST)
    # Refused, none of them took a place.
    await rooms.delete(LOBBY, first.room_id, HOST)
    await rooms.create(LOBBY, draft, HOST)
    await rooms.join(LOBBY, second.room_id, "bob", HOST)
    with pytest.raises(Conflict, match=f"2 players from {HOST}"):
        await rooms.join(LOBBY, second.room_id, "cat", HOST)
    await rooms.join(LOBBY, second.room_id, "cat", GUEST)
    unlimited = world.ruled(rooms_per_address=0, members_per_address=0)
    await unlimited.create(LOBBY, draft, HOST)
    await unlimited.join(LOBBY, second.room_id, "dan", HOST)


async def test_an_ipv6_network_of_one_household_is_one_source(world: LobbyWorld) -> None:
    rooms = world.ruled(rooms_per_address=1, members_per_address=1)
    await world.released()
    draft = RoomDraft(name="Friday", capacity=9, player_id="ann")
    room = await rooms.create(LOBBY, draft, "2001:db8:1:2::1")
    with pytest.raises(TooManyRequests):
        await rooms.create(LOBBY, draft, "2001:db8:1:2:ffff::2")
    with pytest.raises(Conflict):
        await rooms.join(LOBBY, room.room_id, "bob", "2001:db8:1:2:ffff::2")
    await rooms.create(LOBBY, draft, "2001:db8:1:3::1")
    await rooms.join(LOBBY, room.room_id, "bob", "2001:db8:1:3::1")


async def test_rooms_at_once_within_the_limits(world: LobbyWorld) -> None:
    rooms = world.ruled(rooms=6, rooms_per_address=4)
    await world.released()
    draft = RoomDraft(name="Friday", capacity=9, player_id="ann")
    answers = await asyncio.gather(
        *(rooms.create(LOBBY, draft, source) for source in (HOST, GUEST, THIRD) for _ in range(6)),
        return_exceptions=True,
    )
    made = [answer for answer in answers if isinstance(answer, Room)]
    assert len(made) == 6
    for source in (HOST, GUEST, THIRD):
        assert sum(room.host.address == source for room in made) <= 4
    await asyncio.gather(*(rooms.delete(LOBBY, room.room_id, HOST) for room in made))
    assert await world.listed() == []


async def test_terminating_ends_every_room(world: LobbyWorld) -> None:
    rooms = world.ruled(rooms_per_address=0)
    await world.released()
    draft = RoomDraft(name="Friday", capacity=9, player_id="ann")
    made = await asyncio.gather(*(rooms.create(LOBBY, draft, HOST) for _ in range(120)))
    await world.released("other")
    kept = await rooms.create("other", draft, HOST)
    ended = await world.terminated()
    assert (ended.status, ended.url) == ("Terminated", "")
    for room in (made[0], made[60], made[-1]):
        with pytest.raises(NotFound):
            await world.see(room)
    assert await world.every_room() == [kept]
    await world.lobbies.delete(ORGANISATION, LOBBY)
    await world.released()
    assert await world.listed() == []
