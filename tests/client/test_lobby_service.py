"""What players do in a lobby service: on the wire, and what its answers read as."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client.either import Either, either_lobby_service
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import (
    LobbyService,
    NotFound,
    RelayAccess,
    Room,
    RoomAnnotation,
    RoomFailed,
    StillWaiting,
    Unavailable,
)

ID = "b604763bed781cf6e78f7881a607eba2"
ROOM: dict[str, Any] = {
    "lobby_id": ID,
    "name": "Ann's room",
    "is_joinable": True,
    "is_started": False,
    "player_count": 2,
    "capacity": 4,
    "tags": ["ranked"],
    "annotations": [],
    "players": [
        {"id": "ann", "is_host": True, "authorization_token": None},
        {"id": "ben", "is_host": False, "authorization_token": None},
    ],
    "assignment": None,
}
ASSIGNED = ROOM | {
    "is_started": True,
    "players": [
        {"id": "ann", "is_host": True, "authorization_token": 4294967295},
        {"id": "ben", "is_host": False, "authorization_token": 7},
    ],
    "assignment": {
        "authorization_token": 3500589645,
        "ip": "192.0.2.44",
        "host": "relay.example",
        "ports": [
            {"name": "server", "port": 29186, "protocol": "UDP"},
            {"name": "client", "port": 28278, "protocol": "UDP"},
        ],
    },
}


@pytest.fixture
def service(kind: str, server: FakeServer) -> Iterator[Either]:
    # A lobby may be called v1, and a URL with a slash too many is forgiven.
    with either_lobby_service(kind, f"{server.url}/l/v1/", game_key="s3cret") as either:
        yield either


CALLS: dict[str, tuple[Callable[[Any], Any], str, str, dict[str, str], Any]] = {
    "all": (lambda s: s.all(), "GET", "/lobbies", {}, None),
    "all with tags": (lambda s: s.all(["ranked", "eu"]), "GET", "/lobbies", {"tags": "ranked,eu"}, None),
    "create": (
        lambda s: s.create("Ann's room", 4, "ann"),
        "POST",
        "/lobbies",
        {},
        {
            "name": "Ann's room",
            "capacity": 4,
            "player": {"id": "ann"},
            "is_joinable": True,
            "tags": [],
            "annotations": [],
        },
    ),
    "create with everything": (
        lambda s: s.create(
            "x",
            2,
            "ann",
            is_joinable=False,
            tags=["eu"],
            annotations=[RoomAnnotation(key="map", value="a")],
            host_migration=True,
        ),
        "POST",
        "/lobbies",
        {},
        {
            "name": "x",
            "capacity": 2,
            "player": {"id": "ann"},
            "is_joinable": False,
            "tags": ["eu"],
            "annotations": [{"key": "map", "value": "a", "inject": False}],
            "host_migration": True,
        },
    ),
    "get": (lambda s: s.get(ID), "GET", f"/lobbies/{ID}", {}, None),
    "update": (lambda s: s.update(ID, capacity=8), "PATCH", f"/lobbies/{ID}", {}, {"capacity": 8}),
    "update with everything": (
        lambda s: s.update(ID, capacity=8, is_joinable=False, tags=[]),
        "PATCH",
        f"/lobbies/{ID}",
        {},
        {"capacity": 8, "is_joinable": False, "tags": []},
    ),
    "delete": (lambda s: s.delete(ID), "DELETE", f"/lobbies/{ID}", {}, None),
    "join": (lambda s: s.join(ID, "ben"), "POST", "/lobbies:join", {}, {"lobby_id": ID, "player": {"id": "ben"}}),
    "leave": (lambda s: s.leave(ID, "ben"), "POST", "/lobbies:leave", {}, {"lobby_id": ID, "player": {"id": "ben"}}),
    "start": (lambda s: s.start(ID), "POST", "/lobbies:start", {}, {"lobby_id": ID}),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_is_sent_as_the_contract_has_it(name: str, service: Either, server: FakeServer) -> None:
    call, method, path, query, body = CALLS[name]
    server.script(Scripted(200, {"count": 0, "data": []} if path == "/lobbies" and method == "GET" else ROOM))
    service(call)
    assert [(sent.method, sent.path, sent.query, sent.body) for sent in server.asked] == [
        (method, f"/l/v1{path}", query, body)
    ]
    assert server.last.headers["x-game-key"] == "s3cret"
    assert "authorization" not in server.last.headers


def test_without_a_key_of_the_game_none_is_sent(kind: str, server: FakeServer) -> None:
    server.script(Scripted(200, {"count": 0, "data": []}))
    with either_lobby_service(kind, server.url) as service:
        assert service(lambda s: s.all()) == ()
    assert "x-game-key" not in server.last.headers


@pytest.mark.parametrize(("url", "key"), [("", None), ("localhost:8080", None), ("http://127.0.0.1", "two words")])
def test_what_cannot_be_used_is_said_at_once(url: str, key: str | None) -> None:
    with pytest.raises(ValueError, match=r"not a server's URL|the game's key holds a character"):
        LobbyService(url, game_key=key)


def test_a_tag_that_no_service_could_be_asked_for(service: Either, server: FakeServer) -> None:
    with pytest.raises(ValueError, match="comma"):
        service(lambda s: s.all(["a,b"]))


def test_the_list_reads_whole(service: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"count": 1, "data": [{k: ROOM[k] for k in ("lobby_id", "player_count", "capacity")}]}))
    (brief,) = service(lambda s: s.all())
    assert (brief.lobby_id, brief.available_slots) == (ID, 2)


def test_a_room_reads_whole(service: Either, server: FakeServer) -> None:
    server.script(Scripted(200, ASSIGNED))
    room: Room = service(lambda s: s.get(ID))
    assert [player.id for player in room.players] == ["ann", "ben"]
    assert room.access_of("ben") == RelayAccess(
        is_host=False,
        ip="192.0.2.44",
        server_port=29186,
        client_port=28278,
        session_token=3500589645,
        user_token=7,
    )
    assert room.access_of("cid") is None
    access = room.access_of("ann")
    assert access is not None and access.is_host
    assert "4294967295" not in repr(access) and "3500589645" not in repr(access)


@pytest.mark.parametrize("verb", ["join", "start"])
def test_a_service_that_answers_with_nothing_is_asked_for_the_room(
    verb: str, service: Either, server: FakeServer
) -> None:
    server.script(Scripted(204), Scripted(200, ROOM))
    room = service(lambda s: s.join(ID, "ben") if verb == "join" else s.start(ID))
    assert room.lobby_id == ID
    assert [sent.method for sent in server.asked] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("call", "tries"),
    [
        # Once the relay has confirmed, these are as if made once.
        (lambda s: s.join(ID, "ben"), 3),
        (lambda s: s.start(ID), 3),
        # These have had their effect, and a second try would find nothing.
        (lambda s: s.leave(ID, "ben"), 1),
        (lambda s: s.delete(ID), 1),
        # This would make two rooms.
        (lambda s: s.create("x", 2, "ann"), 1),
    ],
    ids=["join", "start", "leave", "delete", "create"],
)
def test_what_is_repeated_by_itself(
    call: Callable[[Any], Any], tries: int, service: Either, server: FakeServer
) -> None:
    server.script(Scripted(503, {"message": "the relay has not confirmed"}))
    with pytest.raises(Unavailable):
        service(call)
    assert len(server.asked) == tries


def test_the_relay_of_a_player_is_waited_for(service: Either, server: FakeServer) -> None:
    started = ROOM | {"is_started": True}
    server.script(Scripted(200, ROOM), Scripted(200, started), Scripted(200, ASSIGNED))
    access: RelayAccess = service(lambda s: s.wait_until_assigned(ID, "ann"))
    assert (access.is_host, access.user_token) == (True, 4294967295)
    assert len(server.asked) == 3


def test_an_assignment_whose_token_is_not_shown_is_not_enough(service: Either, server: FakeServer) -> None:
    hidden = ASSIGNED | {"players": ROOM["players"]}
    server.script(Scripted(200, hidden))
    with pytest.raises(StillWaiting, match="a relay for player 'ann'"):
        service(lambda s: s.wait_until_assigned(ID, "ann", timeout=3))


@pytest.mark.parametrize(
    ("room", "reason"),
    [
        (ROOM | {"error": "no relay is near"}, "could not be started: no relay is near"),
        (ROOM | {"players": ROOM["players"][:1]}, "player 'ben' is not in it"),
    ],
    ids=["start failed", "not in it"],
)
def test_what_waiting_cannot_mend_is_raised_at_once(
    room: Any, reason: str, service: Either, server: FakeServer
) -> None:
    server.script(Scripted(200, ROOM | {"is_started": True}), Scripted(200, room))
    with pytest.raises(RoomFailed, match=reason) as caught:
        service(lambda s: s.wait_until_assigned(ID, "ben"))
    assert caught.value.room.lobby_id == ID
    assert len(server.asked) == 2


def test_a_room_that_ends_is_not_waited_for(service: Either, server: FakeServer) -> None:
    server.script(Scripted(200, ROOM), Scripted(404, {"message": "NotFound: there is no lobby here"}))
    with pytest.raises(NotFound):
        service(lambda s: s.wait_until_assigned(ID, "ben"))
