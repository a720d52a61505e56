"""What operators may turn on, and what one address may ask of a service that knows no keys."""

import asyncio

import pytest

from tests.http.lobby.served import new_room, player_in, serving
from tests.lobbies.world import GUEST, HOST, THIRD, LobbyWorld
from tests.relays.hands import HandRelay

pytestmark = pytest.mark.anyio

KEY = "fun-and-games"


async def test_so_many_new_rooms_a_minute(world: LobbyWorld) -> None:
    async with serving(world, creations_per_minute=10) as service:
        made = [await service.room(source=HOST) for _ in range(10)]
        response = await service.call("POST", "/lobbies", new_room(), source=HOST)
        assert response.status_code == 429
        assert "10 new lobbies per minute" in response.json()["message"]
        assert response.headers["access-control-allow-origin"] == "*"
        pause = int(response.headers["retry-after"])
        assert 0 < pause <= 6
        # Others may, and this one may do everything else.
        await service.room(source=GUEST)
        await service.answer("GET", f"/lobbies/{made[0]['lobby_id']}", source=HOST)
        await service.answer("POST", "/lobbies:join", player_in(made[0], "bob"), source=HOST)
        world.clock.pass_seconds(pause)
        await service.room(source=HOST)
        await service.refused(429, "POST", "/lobbies", new_room(), source=HOST)
        assert (await service.answer("GET", "/lobbies"))["count"] == 12


async def test_so_many_calls_a_second(world: LobbyWorld) -> None:
    async with serving(world, requests_per_second=10) as service:
        room = await service.room(source=GUEST)
        path = f"/lobbies/{room['lobby_id']}"
        # Two seconds' worth at once, then at the pace of Mirror's transport for ever.
        for _ in range(20):
            await service.answer("GET", path, source=HOST)
        response = await service.call("GET", path, source=HOST)
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert response.headers["access-control-allow-origin"] == "*"
        for method, other in (("GET", "/lobbies"), ("POST", "/lobbies:join"), ("GET", f"{path}/events")):
            await service.refused(429, method, other, source=HOST)
        await service.answer("GET", path, source=GUEST)
        world.clock.pass_seconds(1)
        for _ in range(50):
            world.clock.pass_seconds(0.2)
            await service.answer("GET", path, source=HOST)


async def test_sources_are_told_apart_however_they_are_written(world: LobbyWorld) -> None:
    async with serving(world, creations_per_minute=1) as service:
        await service.room(source="2001:db8::7")
        await service.refused(429, "POST", "/lobbies", new_room(), source="2001:0DB8:0:0::7")
        # A whole /64 is commonly one household's.
        await service.refused(429, "POST", "/lobbies", new_room(), source="2001:db8::8")
        await service.room(source="2001:db8:0:1::8")


async def test_so_many_rooms_and_players_from_one_address(world: LobbyWorld) -> None:
    async with serving(world, rooms_per_address=1, members_per_address=2, rooms=2) as service:
        room = await service.room(source=HOST)
        response = await service.call("POST", "/lobbies", new_room(), source=HOST)
        assert (response.status_code, int(response.headers["retry-after"]) > 0) == (429, True)
        await service.answer("POST", "/lobbies:join", player_in(room, "bob"), source=HOST)
        assert HOST in await service.refused(409, "POST", "/lobbies:join", player_in(room, "cat"), source=HOST)
        await service.room(source=GUEST)
        assert "2 lobbies here" in await service.refused(409, "POST", "/lobbies", new_room(), source=THIRD)


async def test_a_games_key(world: LobbyWorld) -> None:
    async with serving(world, game_key=KEY) as service:
        room = None
        for headers in ({}, {"x-game-key": ""}, {"x-game-key": KEY + "x"}, {"authorization": f"token {KEY}"}):
            for method, path, body in (
                ("GET", "/lobbies", None),
                ("POST", "/lobbies", new_room()),
                ("GET", "/lobbies/x", None),
                ("PATCH", "/lobbies/x", {}),
                ("DELETE", "/lobbies/x", {}),
                ("POST", "/lobbies:join", b"{"),
                ("POST", "/lobbies:leave", b"{"),
                ("POST", "/lobbies:start", b"{"),
                ("GET", "/lobbies/x/events", None),
            ):
                assert "X-Game-Key".lower() in await service.refused(403, method, path, body, headers=headers)
        key = {"X-Game-Key": KEY}
        room = await service.answer("POST", "/lobbies", new_room(), headers=key)
        assert (await service.answer("GET", "/lobbies", headers=key))["count"] == 1
        await service.answer("DELETE", f"/lobbies/{room['lobby_id']}", {}, status=204, headers=key)
        # What browsers ask first carries no headers of the game.
        assert (await service.call("OPTIONS", "/lobbies")).status_code == 204
        # And we find out that the service answers, which asks for the key as well.
        await service.manage("POST", "/v1/lobbies", {"name": "race"})
        await service.manage("POST", "/v1/lobbies:deploy", {"name": "race"})
        running = asyncio.ensure_future(service.lobbies.loops["lobbies"]())
        try:
            found = await service.until_moved("race")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert found["status"] == "Released"


async def test_tokens_for_their_own_address_only(world: LobbyWorld, relay: HandRelay) -> None:
    async with serving(world, own_tokens_only=True) as service:
        room = await service.room(source=HOST)
        lobby_id = {"lobby_id": room["lobby_id"]}
        await service.answer("POST", "/lobbies:join", player_in(room, "bob"), source=GUEST)
        await service.answer("POST", "/lobbies:start", lobby_id, source=HOST, status=202)
        await relay.catch_up()
        ((_, spec),) = relay.serves.items()
        first, second = [member.token for member in spec.members]

        async def seen_from(source: str) -> list[int | None]:
            found = await service.answer("GET", f"/lobbies/{room['lobby_id']}", source=source)
            again = await service.answer("POST", "/lobbies:start", lobby_id, source=source)
            assert found == again
            assert found["assignment"] is not None
            return [player["authorization_token"] for player in found["players"]]

        # In any order: what was rendered for one is not what another gets.
        for _ in range(2):
            assert await seen_from(HOST) == [first, None]
            assert await seen_from(GUEST) == [None, second]
            assert await seen_from(THIRD) == [None, None]
        async with relay.at_work():
            joined = await service.answer("POST", "/lobbies:join", player_in(room, "cat"), source=GUEST)
        mine = relay.serves[spec.key].members[2].token
        assert [player["authorization_token"] for player in joined["players"]] == [None, second, mine]


async def test_hosts_only(world: LobbyWorld) -> None:
    async with serving(world, host_check="host_address") as service:
        room = await service.room(source=HOST)
        path = f"/lobbies/{room['lobby_id']}"
        for method, called, body in (
            ("PATCH", path, {"capacity": 9}),
            ("DELETE", path, {}),
            ("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}),
        ):
            assert "only the host" in await service.refused(403, method, called, body, source=GUEST)
        await service.answer("PATCH", path, {"capacity": 9}, source=HOST)
        await service.answer("DELETE", path, {}, source=HOST, status=204)
