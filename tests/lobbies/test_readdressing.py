"""Lobbies whose server was given another public URL."""

import pytest
from msgspec.structs import replace

from tests.lobbies.world import LOBBY, LobbyWorld
from tests.world import ORGANISATION
from waymeet.lobbies.loop import LobbyLoop
from waymeet.model.states import LobbyStatus

pytestmark = pytest.mark.anyio


def elsewhere(world: LobbyWorld) -> LobbyLoop:
    """The loop of a server that was started anew with another URL."""
    rules = replace(world.lobby_rules, url="https://elsewhere.example.org/l/{address}")
    return LobbyLoop(world.store, world.store.bells, world.answers, world.room_changes, world.clock, rules)


async def test_they_are_found_at_the_new_url_once_they_answer_there(world: LobbyWorld) -> None:
    before = await world.released()
    room = await world.room()
    world.clock.pass_seconds(3600)
    loop = elsewhere(world)
    world.answers.problem = "the server is starting"
    await loop.readdress()
    await loop.step()
    lobby = await world.lobbies.find(ORGANISATION, LOBBY)
    assert (lobby.status, lobby.url) == (LobbyStatus.DEPLOYING, "")
    # Whoever plays there goes on.
    assert (await world.rooms.find(LOBBY, room.room_id)).version == room.version
    world.answers.problem = None
    await loop.step()
    lobby = await world.lobbies.find(ORGANISATION, LOBBY)
    assert (lobby.status, lobby.url) == (LobbyStatus.RELEASED, f"https://elsewhere.example.org/l/{before.address}")


async def test_the_same_url_needs_no_look(world: LobbyWorld) -> None:
    before = await world.released()
    await world.lobby_loop.readdress()
    assert await world.lobbies.find(ORGANISATION, LOBBY) == before
