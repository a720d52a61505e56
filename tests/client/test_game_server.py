from collections.abc import Iterator

import pytest

from tests.client.either import Either, either_game_server
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import Conflict, GameServerAccess

CONTEXT_TOKEN = "0" * 31 + "1"
DELETE_TOKEN = "0" * 31 + "2"


def environment(url: str) -> dict[str, str]:
    return {
        "ARBITRIUM_CONTEXT_URL": f"{url}/v1/context/57f84a8e1298/17",
        "ARBITRIUM_CONTEXT_TOKEN": CONTEXT_TOKEN,
        "ARBITRIUM_DELETE_URL": f"{url}/v1/self/stop/57f84a8e1298/660",
        "ARBITRIUM_DELETE_TOKEN": DELETE_TOKEN,
    }


@pytest.fixture
def inside(kind: str, server: FakeServer) -> Iterator[Either]:
    with either_game_server(kind, GameServerAccess.from_environment(environment(server.url))) as either:
        yield either


def test_the_context_is_asked_with_the_bare_token(inside: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"request_id": "57f84a8e1298", "status": "Status.READY", "sockets": 4, "tags": ["a"]}))
    context = inside(lambda game: game.context())
    assert (context.status, context.sockets, context.tags) == ("READY", 4, ("a",))
    assert (server.last.method, server.last.path) == ("GET", "/v1/context/57f84a8e1298/17")
    assert server.last.headers["authorization"] == CONTEXT_TOKEN


def test_tags_stand_below_the_context(inside: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"name": "full"}), Scripted(409, {"message": "taken"}), Scripted(204))
    assert inside(lambda game: game.add_tag("full")).name == "full"
    with pytest.raises(Conflict):
        inside(lambda game: game.add_tag("full"))
    inside(lambda game: game.remove_tag("half full"))
    assert [(sent.method, sent.path, sent.body) for sent in server.asked] == [
        ("POST", "/v1/context/57f84a8e1298/17/tags", {"name": "full"}),
        ("POST", "/v1/context/57f84a8e1298/17/tags", {"name": "full"}),
        ("DELETE", "/v1/context/57f84a8e1298/17/tags/half%20full", None),
    ]


def test_a_server_stops_itself_with_its_other_token(inside: Either, server: FakeServer) -> None:
    server.script(Scripted(200, {"message": "57f84a8e1298 - Delete request will be processed soon"}))
    assert "processed" in inside(lambda game: game.stop()).message
    assert (server.last.method, server.last.path) == ("DELETE", "/v1/self/stop/57f84a8e1298/660")
    assert server.last.headers["authorization"] == DELETE_TOKEN


@pytest.mark.parametrize("missing", environment(""))
def test_a_missing_variable_is_named(missing: str) -> None:
    variables = environment("http://127.0.0.1:8080")
    del variables[missing]
    with pytest.raises(ValueError, match=missing):
        GameServerAccess.from_environment(variables)


def test_tokens_are_not_shown() -> None:
    access = GameServerAccess.from_environment(environment("http://127.0.0.1:8080"))
    assert CONTEXT_TOKEN not in repr(access)
    assert DELETE_TOKEN not in repr(access)
