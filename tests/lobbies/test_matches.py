"""Rooms that play: the relay session behind them, who has a token when, and what becomes of both."""

import asyncio

import pytest

from tests.lobbies.world import GUEST, HOST, LOBBY, THIRD, LobbyWorld
from tests.polling import eventually_async
from tests.relays.hands import PORTS, HandRelay
from tests.world import ORGANISATION
from waymeet.lobbies.rooms import JOINING_SECONDS
from waymeet.lobbies.types import Assignment, Room, RoomUpdate
from waymeet.model.errors import Conflict, NotFound, Unavailable
from waymeet.model.relays import RelayPorts
from waymeet.model.states import RelayStatus

pytestmark = pytest.mark.anyio


def served(relay: HandRelay, room: Room) -> list[int]:
    """The tokens that the relay lets in for this room, in the order of its users."""
    assert room.relay_session is not None
    return [member.token for member in relay.serves[room.relay_session].members]


def tokens(room: Room) -> list[int | None]:
    return [member.token for member in room.present]


async def test_assignment_and_tokens_appear_together_once_the_relay_is_ready(
    world: LobbyWorld, relay: HandRelay
) -> None:
    room = await world.room()
    await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    started = await world.rooms.start(LOBBY, room.room_id, HOST)
    assert (started.is_started, started.assignment) == (True, None)
    assert [brief.is_started for brief in await world.listed()] == [True]
    assert await relay.hear()
    assert (await world.see(room)).assignment is None
    await relay.confirm()
    ready = await world.see(room)
    session = await world.relay_session(ready)
    assert ready.assignment == Assignment(session.token, "192.0.2.1", "192.0.2.1", PORTS)
    assert ready.version > started.version
    # In the order of the players, each with the address that it came from, and only the host may host.
    assert tokens(ready) == [user.token for user in session.users] == served(relay, ready)
    assert [user.address for user in session.users] == [HOST, GUEST]
    assert session.owner == ready.host.token
    assert relay.serves[session.session_id].owner == ready.host.token


async def test_started_once_however_often(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.room()
    first, *others = await asyncio.gather(*(world.rooms.start(LOBBY, room.room_id, HOST) for _ in range(8)))
    assert {other.relay_session for other in others} == {first.relay_session}
    await relay.catch_up()
    assert len(relay.serves) == 1
    again = await world.rooms.start(LOBBY, room.room_id, HOST)
    assert again == await world.see(room)
    assert again.assignment is not None


async def test_no_relay_no_start(world: LobbyWorld) -> None:
    room = await world.room()
    with pytest.raises(Unavailable, match="no relay is connected"):
        await world.rooms.start(LOBBY, room.room_id, HOST)
    assert await world.see(room) == room
    await HandRelay.joined(world, capacity=1)
    await world.rooms.start(LOBBY, room.room_id, HOST)
    other = await world.room()
    with pytest.raises(Unavailable, match="full"):
        await world.rooms.start(LOBBY, other.room_id, HOST)
    assert await world.see(other) == other


async def test_a_late_player_is_seen_only_once_the_relay_lets_it_in(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay)
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    assert await world.see(room) != room, "the store knows"
    assert tokens(await world.see(room)) == tokens(room)
    assert (await world.see(room)).version == room.version
    assert [brief.player_count for brief in await world.listed()] == [1]
    assert await relay.hear()
    assert not joining.done()
    await relay.confirm()
    joined = await joining
    assert joined == await world.see(room)
    assert [member.player_id for member in joined.present] == ["host", "bob"]
    assert joined.version > room.version
    assert tokens(joined) == served(relay, joined)
    assert [brief.player_count for brief in await world.listed()] == [2]
    # Nothing changed for the host, nor for a repeat.
    assert (joined.assignment, tokens(joined)[0]) == (room.assignment, tokens(room)[0])
    assert await world.rooms.join(LOBBY, room.room_id, "bob", GUEST) == joined


async def test_its_place_is_taken_while_it_joins(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, capacity=2)
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    with pytest.raises(Conflict, match="full"):
        await world.rooms.join(LOBBY, room.room_id, "cat", THIRD)
    with pytest.raises(Conflict, match="2 players are in"):
        await world.rooms.update(LOBBY, room.room_id, RoomUpdate(capacity=1), HOST)
    with pytest.raises(Conflict, match="somebody else"):
        await world.rooms.join(LOBBY, room.room_id, "bob", THIRD)
    await relay.catch_up()
    await joining


async def test_joining_while_the_relay_gets_ready(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.room()
    await world.rooms.start(LOBBY, room.room_id, HOST)
    assert await relay.hear()
    joined = await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    assert ([member.player_id for member in joined.present], joined.assignment) == (["host", "bob"], None)
    # The session with the host alone is not what the room waits for now.
    await relay.confirm()
    assert (await world.see(room)).assignment is None
    await relay.catch_up()
    ready = await world.see(room)
    assert ready.assignment is not None
    assert tokens(ready) == served(relay, ready)


async def test_asking_again_waits_on_for_the_same_token(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay)
    await world.unconfirmed(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    assert tokens(await world.see(room)) == tokens(room)
    before = await world.relay_serving.last_change(relay.name)
    # Again just before its time would be over: it has all its time again.
    world.clock.pass_seconds(JOINING_SECONDS - 5)
    until = (await world.see(room)).members[1].joining_until
    again = asyncio.create_task(world.rooms.join(LOBBY, room.room_id, "bob", GUEST))

    async def is_written() -> bool:
        return (await world.see(room)).members[1].joining_until != until

    await eventually_async(is_written)
    world.clock.pass_seconds(2)
    await world.room_loop.act_on_due()
    async with relay.at_work():
        joined = await again
    assert tokens(joined) == served(relay, joined)
    assert await world.relay_serving.last_change(relay.name) == before
    world.clock.pass_seconds(JOINING_SECONDS)
    await world.room_loop.act_on_due()
    assert await world.see(room) == joined


async def test_players_who_never_arrive_are_taken_out(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, capacity=3)
    for name in ("bob", "cat"):
        await world.unconfirmed(world.rooms.join(LOBBY, room.room_id, name, GUEST), relay)
    assert await relay.hear()
    assert len(served(relay, room)) == 3
    world.clock.pass_seconds(JOINING_SECONDS - 10)
    await world.room_loop.act_on_due()
    assert len((await world.see(room)).members) == 3
    world.clock.pass_seconds(10)
    for _ in range(2):
        await world.room_loop.act_on_due()
    assert (await world.see(room)).members == room.members
    await relay.catch_up()
    assert served(relay, room) == tokens(room)
    assert not await world.room_loop.act_on_due()


async def test_taken_out_while_it_joins(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay)
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    leaving = await world.under_way(world.rooms.leave(LOBBY, room.room_id, "bob", HOST), relay)
    await relay.catch_up()
    await leaving
    with pytest.raises(NotFound, match="removed from the lobby while it joined"):
        await joining
    assert served(relay, room) == tokens(await world.see(room)) == tokens(room)


async def test_one_call_does_not_let_in_the_token_of_another(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay)
    first = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    assert await relay.hear()
    leaving = await world.under_way(world.rooms.leave(LOBBY, room.room_id, "bob", HOST), relay)
    second = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    # What the relay confirms now is the first token, which is no longer anybody's.
    await relay.confirm()
    with pytest.raises(Unavailable, match="in another call"):
        await first
    assert tokens(await world.see(room)) == tokens(room)
    await relay.catch_up()
    await leaving
    assert tokens(await second) == served(relay, room)


async def test_whoever_leaves_is_shut_out_when_the_call_returns(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, "bob", "cat")
    gone = room.present[1].token
    leaving = await world.under_way(world.rooms.leave(LOBBY, room.room_id, "bob", HOST), relay)
    assert [member.player_id for member in (await world.see(room)).present] == ["host", "cat"]
    assert gone in served(relay, room)
    await relay.catch_up()
    await leaving
    assert served(relay, room) == tokens(await world.see(room))
    assert gone not in served(relay, room)
    assert gone in (await world.relay_session(room)).revoked


async def test_leaving_is_for_good_also_when_the_relay_does_not_say_so(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, "bob")
    await world.unconfirmed(world.rooms.leave(LOBBY, room.room_id, "bob", HOST), relay)
    with pytest.raises(NotFound):
        await world.rooms.leave(LOBBY, room.room_id, "bob", HOST)
    await relay.catch_up()
    assert served(relay, room) == tokens(await world.see(room))


async def test_when_the_host_leaves_everybody_is_shut_out(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, "bob")
    leaving = await world.under_way(world.rooms.leave(LOBBY, room.room_id, "host", HOST), relay)
    await relay.catch_up()
    await leaving
    assert relay.serves == {}
    with pytest.raises(NotFound):
        await world.see(room)
    with pytest.raises(NotFound):
        await world.relay_session(room)


async def test_a_player_whose_token_was_revoked_past_the_lobby_comes_in_anew(
    world: LobbyWorld, relay: HandRelay
) -> None:
    room = await world.started(relay, "bob")
    dead = room.present[1].token
    assert room.relay_session is not None
    assert dead is not None
    revoking = await world.under_way(world.relays.revoke(ORGANISATION, room.relay_session, dead), relay)
    await relay.catch_up()
    await revoking
    source = room.present[1].address
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", source), relay)
    await relay.catch_up()
    back = (await joining).present[1]
    assert (back.player_id, back.token != dead) == ("bob", True)
    assert back.token in served(relay, room)


async def test_a_new_host_and_the_relays_owner_in_one_change(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, "bob", "cat", host_migration=True)
    assert room.relay_session is not None
    leaving = await world.under_way(world.rooms.leave(LOBBY, room.room_id, "host", HOST), relay)
    after = await world.see(room)
    session = await world.relay_session(room)
    assert [member.player_id for member in after.present] == ["bob", "cat"]
    assert session.owner == after.host.token == room.present[1].token
    await relay.catch_up()
    await leaving
    assert (relay.serves[room.relay_session].owner, served(relay, room)) == (after.host.token, tokens(after))


async def test_who_is_not_there_yet_does_not_become_host(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, host_migration=True)
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    leaving = await world.under_way(world.rooms.leave(LOBBY, room.room_id, "host", HOST), relay)
    await relay.catch_up()
    await leaving
    with pytest.raises(NotFound):
        await joining
    assert relay.serves == {}
    room = await world.started(relay, host_migration=True)
    # Before the one who is there, and gave up.
    await world.unconfirmed(world.rooms.join(LOBBY, room.room_id, "dan", THIRD), relay)
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    await relay.catch_up()
    await joining
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "cat", GUEST), relay)
    leaving = await world.under_way(world.rooms.leave(LOBBY, room.room_id, "host", HOST), relay)
    after = await world.see(room)
    assert ([member.player_id for member in after.present], after.host.player_id) == (["bob"], "bob")
    assert (await world.relay_session(room)).owner == after.host.token
    await relay.catch_up()
    await leaving
    assert [member.player_id for member in (await joining).present] == ["bob", "cat"]


async def test_a_host_that_fell_silent(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, "bob", "cat", host_migration=True)
    assert room.relay_session is not None
    await world.relay_serving.hosts_silent(relay.name, [room.relay_session])
    after = await world.see(room)
    assert [member.player_id for member in after.present] == ["bob", "cat", "host"]
    assert {member.player_id: member.token for member in after.present} == {
        member.player_id: member.token for member in room.present
    }
    assert (await world.relay_session(room)).owner == after.host.token
    # Said again before the relay has heard of the new host, it is about the old one.
    await world.relay_serving.hosts_silent(relay.name, [room.relay_session])
    assert await relay.hear()
    await world.relay_serving.hosts_silent(relay.name, [room.relay_session])
    assert await world.see(room) == after
    await relay.confirm()
    assert relay.serves[room.relay_session].owner == after.host.token
    await world.relay_serving.hosts_silent(relay.name, [room.relay_session])
    assert [member.player_id for member in (await world.see(room)).present] == ["cat", "host", "bob"]


async def test_a_silent_host_stays_where_nobody_can_follow_it(world: LobbyWorld, relay: HandRelay) -> None:
    alone = await world.started(relay, host_migration=True)
    fixed = await world.started(relay, "bob")
    foreign = await HandRelay.joined(world, "other")
    migrating = await world.started(relay, "bob", host_migration=True)
    await foreign.catch_up()
    rooms = (alone, fixed, migrating)
    keys = [str(room.relay_session) for room in rooms]
    await world.relay_serving.hosts_silent(relay.name, [*keys[:2], "000000000000-S", "what?"])
    home = (await world.relay_session(migrating)).node_name
    await world.relay_serving.hosts_silent(foreign.name if home == relay.name else relay.name, keys[2:])
    assert [await world.see(room) for room in rooms[:2]] == [alone, fixed]
    assert (await world.see(migrating)).host.player_id == "host"


async def test_a_relay_that_answers_elsewhere_now(world: LobbyWorld, relay: HandRelay) -> None:
    room, waiting = await world.started(relay, "bob"), await world.room()
    pending = await world.rooms.start(LOBBY, (await world.room()).room_id, HOST)
    ports = RelayPorts(40_000, 40_001)
    await world.node(relay.name, relay=ports, address="192.0.2.9")
    moved = await world.see(room)
    assert room.assignment is not None
    assert moved.assignment == Assignment(room.assignment.token, "192.0.2.9", "192.0.2.9", ports)
    assert (tokens(moved), moved.version > room.version) == (tokens(room), True)
    assert await world.see(waiting) == waiting
    assert await world.see(pending) == pending
    await relay.catch_up()
    ready = (await world.see(pending)).assignment
    assert ready is not None
    assert (ready.address, ready.ports) == ("192.0.2.9", ports)
    # Coming back where it was moves nobody.
    await world.node(relay.name, relay=ports, address="192.0.2.9")
    assert await world.see(room) == moved


async def test_a_relay_that_fails_puts_the_room_back_and_says_why(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.room()
    await world.rooms.join(LOBBY, room.room_id, "bob", GUEST)
    started = await world.rooms.start(LOBBY, room.room_id, HOST)
    world.clock.pass_seconds(31)
    await world.relay_loop.act_on_due()
    back = await world.see(room)
    assert (back.is_started, back.assignment, tokens(back)) == (False, None, [None, None])
    assert back.error == "relay 'relay' did not take the session within 30 s"
    assert back.version > started.version
    again = await world.rooms.start(LOBBY, room.room_id, HOST)
    assert (again.error, again.relay_session != started.relay_session) == (None, True)
    await relay.catch_up()
    ready = await world.see(room)
    assert tokens(ready) == served(relay, ready)


async def test_who_was_on_its_way_in_is_there_when_the_relay_fails(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay)
    joining = await world.under_way(world.rooms.join(LOBBY, room.room_id, "bob", GUEST), relay)
    await relay.hear()
    await world.relay_serving.refused(relay.name, [str(room.relay_session)])
    await relay.catch_up()
    back = await joining
    assert [member.player_id for member in back.present] == ["host", "bob"]
    assert (back.is_started, tokens(back), back.error) == (
        False,
        [None, None],
        "relay 'relay' has no room for it and its users",
    )
    assert back == await world.see(room)


async def test_a_relay_session_that_somebody_deletes_puts_the_room_back(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, "bob")
    # A long match, in which nobody had to ask for the room.
    world.clock.pass_seconds(3 * 3600)
    deleting = await world.under_way(world.relays.delete(ORGANISATION, str(room.relay_session)), relay)
    await relay.catch_up()
    await deleting
    back = await world.see(room)
    assert (back.is_started, back.assignment, tokens(back)) == (False, None, [None, None])
    assert back.error == "the relay session was deleted"
    await world.room_loop.act_on_due()
    assert await world.see(room) == back
    await world.rooms.start(LOBBY, room.room_id, HOST)
    await relay.catch_up()
    assert (await world.see(room)).assignment is not None


async def test_a_room_that_nobody_plays_in_ends(world: LobbyWorld, relay: HandRelay) -> None:
    idle, used = await world.started(relay), await world.started(relay)
    await world.relay_serving.idle(relay.name, [str(idle.relay_session)])
    with pytest.raises(NotFound):
        await world.see(idle)
    assert await world.see(used) == used
    await relay.catch_up()
    assert set(relay.serves) == {used.relay_session}


async def test_deleting_shuts_everybody_out_before_it_answers(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.started(relay, "bob")
    deleting = await world.under_way(world.rooms.delete(LOBBY, room.room_id, HOST), relay)
    with pytest.raises(NotFound):
        await world.see(room)
    assert not deleting.done()
    await relay.catch_up()
    await deleting
    assert relay.serves == {}
    # Before it was ready, too.
    room = await world.room()
    await world.rooms.start(LOBBY, room.room_id, HOST)
    await world.unconfirmed(world.rooms.delete(LOBBY, room.room_id, HOST), relay)
    await relay.catch_up()
    assert relay.serves == {}
    assert await world.relay_sessions() == 0


async def test_terminating_ends_the_relay_sessions_too(world: LobbyWorld, relay: HandRelay) -> None:
    ready = await world.started(relay, "bob")
    waiting = await world.room()
    pending = await world.rooms.start(LOBBY, (await world.room()).room_id, HOST)
    await world.terminated()
    for room in (ready, waiting, pending):
        with pytest.raises(NotFound):
            await world.see(room)
    await relay.catch_up()
    assert relay.serves == {}
    assert await world.relay_sessions() == 0


async def test_a_lobby_that_could_not_be_deployed_again_leaves_no_rooms_behind(
    world: LobbyWorld, relay: HandRelay
) -> None:
    await world.started(relay)
    await world.terminated()
    world.answers.problem = "it is gone"
    await world.lobbies.deploy(ORGANISATION, LOBBY)
    with pytest.raises(NotFound):
        await world.room()
    world.clock.pass_seconds(31)
    await world.lobby_loop.step()
    await world.lobbies.delete(ORGANISATION, LOBBY)
    await relay.catch_up()
    assert (relay.serves, await world.every_room()) == ({}, [])


async def test_players_behind_one_address_are_told_apart_by_their_place(world: LobbyWorld, relay: HandRelay) -> None:
    room = await world.room()
    for guest in ("bob", "cat"):
        await world.rooms.join(LOBBY, room.room_id, guest, HOST)
    await world.rooms.start(LOBBY, room.room_id, HOST)
    await relay.catch_up()
    ready = await world.see(room)
    assert len(set(tokens(ready))) == 3
    assert tokens(ready) == served(relay, ready)
    assert (await world.relay_session(ready)).status is RelayStatus.READY
