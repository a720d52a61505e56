"""Lobbies through the typed client, over real processes: from the service to a match, and across a crash."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from tests.polling import GENEROUS_SECONDS
from tests.system.installation import Installation
from tests.system.processes import Role
from waymeet.client import AsyncLobbyService, NotFound, RelayAccess, RelayRefused, Room

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(installation: Installation) -> str:
    """Of a lobby service that answers."""
    installation.up()
    lobbies = installation.client.lobbies
    lobbies.create("duel")
    assert lobbies.deploy("duel").status == "Deploying"
    released = lobbies.wait_until_released("duel")
    assert lobbies.all() == (released,)
    return released.url


class Follower:
    """Somebody who follows a room, and what was seen of it."""

    def __init__(self) -> None:
        self.seen: list[Room] = []
        self.news = asyncio.Condition()

    async def follow(self, duel: AsyncLobbyService, lobby_id: str) -> None:
        async with aclosing(duel.follow(lobby_id, patience=GENEROUS_SECONDS)) as rooms:
            async for room in rooms:
                async with self.news:
                    self.seen.append(room)
                    self.news.notify_all()

    async def players(self, *ids: str) -> None:
        """Return once these, and nobody else, were seen in the room."""
        async with asyncio.timeout(GENEROUS_SECONDS), self.news:
            await self.news.wait_for(lambda: self.seen and [one.id for one in self.seen[-1].players] == list(ids))


@asynccontextmanager
async def following(duel: AsyncLobbyService, lobby_id: str) -> AsyncIterator[tuple[Follower, asyncio.Task[None]]]:
    follower = Follower()
    task = asyncio.create_task(follower.follow(duel, lobby_id))
    try:
        yield follower, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def meet(host: RelayAccess, guest: RelayAccess) -> None:
    """The two of them exchange a datagram through the relay."""
    async with host.as_host() as server, guest.as_client() as client, asyncio.timeout(GENEROUS_SECONDS):
        await server.wait_until_valid()
        await client.wait_until_valid()
        client.send(b"hello")
        connection, payload = await server.receive()
        assert payload == b"hello"
        server.send(connection, b"welcome")
        assert await client.receive() == b"welcome"


async def test_from_the_service_to_a_match(installation: Installation, url: str) -> None:
    async with AsyncLobbyService(url) as duel:
        room = await duel.create("Ann's room", 3, "ann", tags=["ranked"])
        await duel.join(room.lobby_id, "ben")
        assert [brief.player_count for brief in await duel.all(["ranked"])] == [2]
        assert await duel.all(["ranked", "eu"]) == ()
        assert (await duel.update(room.lobby_id, tags=["eu"])).tags == ("eu",)
        assert (await duel.start(room.lobby_id)).is_started
        ann = await duel.wait_until_assigned(room.lobby_id, "ann", GENEROUS_SECONDS)
        ben = await duel.wait_until_assigned(room.lobby_id, "ben", GENEROUS_SECONDS)
        await meet(ann, ben)
        # Somebody who comes late has a token in the answer, and may use it at once.
        late = (await duel.join(room.lobby_id, "cid")).access_of("cid")
        assert late is not None
        await meet(ann, late)
        with pytest.raises(ValueError, match="as_client"):
            late.as_host()
        await duel.leave(room.lobby_id, "cid")
        async with late.as_client() as shut_out:
            with pytest.raises(RelayRefused):
                await shut_out.wait_until_valid(GENEROUS_SECONDS)
        await duel.delete(room.lobby_id)
        with pytest.raises(NotFound):
            await duel.get(room.lobby_id)
    lobbies = installation.client.lobbies
    lobbies.terminate("duel")
    lobbies.wait_until_terminated("duel")
    lobbies.delete("duel")
    with pytest.raises(NotFound):
        lobbies.get("duel")


async def test_a_room_is_followed_across_a_crash(installation: Installation, url: str) -> None:
    async with AsyncLobbyService(url) as duel:
        room = await duel.create("Ann's room", 4, "ann")
        async with following(duel, room.lobby_id) as (follower, task):
            await follower.players("ann")
            await duel.join(room.lobby_id, "ben")
            await follower.players("ann", "ben")
            before = len(follower.seen)
            control_plane = installation.only(Role.CONTROL_PLANE)
            assert control_plane.kill()
            installation.only(Role.CONTROL_PLANE, other_than=control_plane)
            await asyncio.to_thread(installation.wait_until_ready)
            await duel.join(room.lobby_id, "cid")
            await follower.players("ann", "ben", "cid")
            # What was known before the crash is not told again: the stream was taken up where it ended.
            assert len(follower.seen) == before + 1
            await duel.delete(room.lobby_id)
            async with asyncio.timeout(GENEROUS_SECONDS):
                await task
