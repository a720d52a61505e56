"""What a lobby service answers, to the field (contract 3.13)."""

import asyncio

import pytest

from tests.http.lobby.served import LobbyServer, new_room, player_in
from tests.lobbies.world import LobbyWorld
from tests.relays.hands import HandRelay

pytestmark = pytest.mark.anyio

BRIEF = {"lobby_id", "name", "is_joinable", "is_started", "player_count", "capacity", "tags"}
FULL = BRIEF | {"annotations", "players", "assignment"}
OURS = {"host_migration", "error"}


async def test_a_new_room(service: LobbyServer) -> None:
    room = await service.room()
    lobby_id = room["lobby_id"]
    assert room == {
        "lobby_id": lobby_id,
        "name": "Friday",
        "capacity": 4,
        "player_count": 1,
        "is_joinable": True,
        "is_started": False,
        "tags": [],
        "annotations": [],
        "players": [{"id": "mirror-player-1", "is_host": True, "authorization_token": None}],
        "assignment": None,
        "host_migration": False,
        "error": None,
    }
    assert set(room) == FULL | OURS
    # At least 96 bits that nobody guesses, and fit for a path as they are.
    assert len(lobby_id) == 32
    assert set(lobby_id) <= set("0123456789abcdef")
    assert await service.answer("GET", f"/lobbies/{lobby_id}") == room


async def test_what_a_client_says_of_a_player_is_decided_here(service: LobbyServer) -> None:
    sample = {"id": "Ann", "is_host": False, "authorization_token": 7}
    room = await service.room(player=sample, unknown={"x": [1]})
    assert room["players"] == [{"id": "Ann", "is_host": True, "authorization_token": None}]
    joining = {"lobby_id": room["lobby_id"], "player": {"id": "Bob", "is_host": True, "authorization_token": None}}
    joined = await service.answer("POST", "/lobbies:join", joining)
    assert joined["players"][1] == {"id": "Bob", "is_host": False, "authorization_token": None}


async def test_only_a_name_a_capacity_and_a_player_are_needed(service: LobbyServer) -> None:
    least = {"name": "x", "capacity": 1, "player": {"id": "y"}}
    room = await service.answer("POST", "/lobbies", least)
    assert (room["is_joinable"], room["tags"], room["annotations"]) == (True, [], [])
    nulls = least | {"tags": None, "annotations": None, "is_joinable": None}
    room = await service.answer("POST", "/lobbies", nulls)
    assert (room["is_joinable"], room["tags"], room["annotations"]) == (True, [], [])
    most = {
        "name": "n" * 64,
        "capacity": "1000",
        "player": {"id": "p" * 128},
        "tags": ["t" * 64] * 32,
        "annotations": [{"inject": True, "key": "k" * 64, "value": "v" * 1024}] * 32,
        "is_joinable": False,
    }
    room = await service.answer("POST", "/lobbies", most)
    assert (room["players"][0]["id"], room["capacity"]) == ("p" * 128, 1000)
    for member in ("name", "tags", "annotations", "is_joinable"):
        assert room[member] == most[member]


async def test_the_list(service: LobbyServer) -> None:
    assert await service.answer("GET", "/lobbies") == {"count": 0, "data": []}
    room = await service.room(tags=["eu"], is_joinable=False)
    await service.room(name="Ängström 🎲")
    listed = await service.answer("GET", "/lobbies")
    assert listed["count"] == 2
    assert [set(entry) for entry in listed["data"]] == [BRIEF] * 2
    (brief,) = [entry for entry in listed["data"] if entry["lobby_id"] == room["lobby_id"]]
    assert brief == {name: room[name] for name in BRIEF}
    assert {entry["name"] for entry in listed["data"]} == {"Friday", "Ängström 🎲"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"ab", "abc", "c", "none"}),
        ("?tags=a", {"ab", "abc"}),
        ("?tags=a&tags=b", {"ab", "abc"}),
        ("?tags=a,b", {"ab", "abc"}),
        ("?tags=a,c&tags=b", {"abc"}),
        ("?tags=b%2Cc", {"abc"}),
        ("?tags=", {"ab", "abc", "c", "none"}),
        ("?tags=,c,", {"c", "abc"}),
        ("?tags=c&other=1&x", {"c", "abc"}),
        ("?tags=%C3%BC+b", set()),
        ("?tags=A", set()),
        ("?tags=a&tags=z", set()),
    ],
)
async def test_tags(service: LobbyServer, query: str, expected: set[str]) -> None:
    for name, tags in (("ab", ["a", "b"]), ("abc", ["c", "b", "a"]), ("c", ["c"]), ("none", [])):
        await service.room(name=name, tags=tags)
    listed = await service.answer("GET", f"/lobbies{query}")
    assert {entry["name"] for entry in listed["data"]} == expected
    assert listed["count"] == len(expected)


async def test_changing(service: LobbyServer) -> None:
    room = await service.room(tags=["eu"])
    path = f"/lobbies/{room['lobby_id']}"
    # As Mirror's serializer writes it: always all three.
    changed = await service.answer("PATCH", path, {"capacity": 8, "is_joinable": False, "tags": ["us"]})
    assert changed == {name: room[name] for name in BRIEF} | {"capacity": 8, "is_joinable": False, "tags": ["us"]}
    for body in ({}, {"capacity": None, "is_joinable": None, "tags": None}, {"name": "other", "player_count": 99}):
        assert await service.answer("PATCH", path, body) == changed
    assert await service.answer("PATCH", path, {"is_joinable": True}) == changed | {"is_joinable": True}
    assert await service.answer("PATCH", path, {"tags": []}) == changed | {"is_joinable": True, "tags": []}
    for capacity in (0, -1, 1001):
        message = await service.refused(400, "PATCH", path, {"capacity": capacity, "is_joinable": False, "tags": []})
        assert "capacity" in message
    assert (await service.answer("GET", path))["capacity"] == 8


async def test_joining_and_leaving(service: LobbyServer) -> None:
    room = await service.room(capacity=2)
    path = f"/lobbies/{room['lobby_id']}"
    joined = await service.answer("POST", "/lobbies:join", player_in(room, "bob"))
    assert joined == await service.answer("GET", path)
    assert [player["id"] for player in joined["players"]] == ["mirror-player-1", "bob"]
    assert joined["player_count"] == 2
    assert await service.answer("POST", "/lobbies:join", player_in(room, "bob")) == joined
    await service.refused(409, "POST", "/lobbies:join", player_in(room, "bob"), source="198.51.100.23")
    await service.refused(409, "POST", "/lobbies:join", player_in(room, "cat"))
    await service.refused(409, "PATCH", path, {"capacity": 1})
    await service.answer("POST", "/lobbies:leave", player_in(room, "bob"), status=204)
    await service.refused(404, "POST", "/lobbies:leave", player_in(room, "bob"))
    await service.answer("PATCH", path, {"is_joinable": False})
    await service.refused(409, "POST", "/lobbies:join", player_in(room, "bob"))
    await service.answer("POST", "/lobbies:leave", player_in(room, "mirror-player-1"), status=204)
    assert "NotFound" in await service.refused(404, "GET", path)


async def test_from_start_to_tokens(service: LobbyServer, world: LobbyWorld, relay: HandRelay) -> None:
    room = await service.room(source="203.0.113.7")
    path = f"/lobbies/{room['lobby_id']}"
    await service.answer("POST", "/lobbies:join", player_in(room, "bob"), source="198.51.100.23")
    started = await service.answer("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}, status=202)
    assert (started["is_started"], started["assignment"]) == (True, None)
    assert [player["authorization_token"] for player in started["players"]] == [None, None]
    assert await service.answer("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}, status=202) == started
    await relay.catch_up()
    ready = await service.answer("GET", path)
    ((key, spec),) = relay.serves.items()
    session = (await world.every_room())[0].relay_session
    assert ready["assignment"] == {
        "authorization_token": spec.token,
        "ip": "192.0.2.1",
        "host": "192.0.2.1",
        "ports": [
            {"name": "server", "port": 32000, "protocol": "UDP"},
            {"name": "client", "port": 32001, "protocol": "UDP"},
        ],
    }
    assert session == key
    assert [player["authorization_token"] for player in ready["players"]] == [member.token for member in spec.members]
    assert [member.address for member in spec.members] == ["203.0.113.7", "198.51.100.23"]
    # Once more: nothing happens, and the answer says that it is there.
    assert await service.answer("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}) == ready
    assert len(relay.serves) == 1
    async with relay.at_work():
        joined = await service.answer("POST", "/lobbies:join", player_in(room, "cat"))
        assert joined["players"][2]["authorization_token"] == relay.serves[key].members[2].token
        listed = await service.answer("GET", "/lobbies")
        assert "authorization_token" not in str(listed)
        await service.answer("DELETE", path, {}, status=204)
    assert relay.serves == {}


async def test_start_without_a_relay(service: LobbyServer) -> None:
    room = await service.room()
    response = await service.call("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]})
    assert (response.status_code, int(response.headers["retry-after"]) > 0) == (503, True)
    assert await service.answer("GET", f"/lobbies/{room['lobby_id']}") == room


async def test_when_the_relay_does_not_answer(service: LobbyServer, world: LobbyWorld, relay: HandRelay) -> None:
    room = await service.started(relay)
    for path, body in (
        ("/lobbies:join", player_in(room, "bob")),
        ("/lobbies:leave", player_in(room, "mirror-player-1")),
    ):
        response = await world.under_way(service.call("POST", path, body), relay)
        world.clock.pass_seconds(4)
        answer = await response
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "has not confirmed" in answer.json()["message"]


async def test_deleting(service: LobbyServer) -> None:
    bodies: list[object] = [None, {}, b'""', b"", b"{", b"x" * 1000]
    for body in bodies:
        room = await service.room()
        path = f"/lobbies/{room['lobby_id']}"
        await service.answer("DELETE", path, body, status=204)
        for method in ("GET", "DELETE"):
            assert "NotFound" in await service.refused(404, method, path)
    # What Mirror's host does that never had a room.
    for path in ("/lobbies/", "//lobbies/", "/lobbies//"):
        await service.refused(404, "DELETE", path, {})


async def test_a_connection_is_good_for_more_after_a_body_that_nobody_read(service: LobbyServer) -> None:
    rooms = [await service.room() for _ in range(3)]
    for room in rooms:
        await service.answer("DELETE", f"/lobbies/{room['lobby_id']}", b'{"a":"' + b"x" * 40_000 + b'"}', status=204)
    assert await service.answer("GET", "/lobbies") == {"count": 0, "data": []}


async def test_what_says_who_is_asked(service: LobbyServer, world: LobbyWorld) -> None:
    response = await service.call("GET", "/lobbies")
    (lobby,) = await service.lobbies.manager.all((await world.every_lobby())[0].organisation)
    assert response.headers["waymeet-lobby"] == lobby.lobby_id


async def test_many_at_once(service: LobbyServer, relay: HandRelay) -> None:
    room = await service.room(capacity=9)
    async with relay.at_work():
        answers = await asyncio.gather(
            *(service.call("POST", "/lobbies:join", player_in(room, f"player-{number}")) for number in range(8)),
            *(service.call("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}) for _ in range(4)),
        )
        assert {answer.status_code for answer in answers} <= {200, 202}

    async def ready() -> bool:
        return (await service.answer("GET", f"/lobbies/{room['lobby_id']}"))["assignment"] is not None

    await relay.catch_up()
    assert await ready()
    seen = await service.answer("GET", f"/lobbies/{room['lobby_id']}")
    ((_, spec),) = relay.serves.items()
    assert sorted(player["authorization_token"] for player in seen["players"]) == sorted(
        member.token for member in spec.members
    )
    assert new_room()["capacity"] == 4
