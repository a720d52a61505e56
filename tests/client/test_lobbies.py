"""Lobby services as their manager sees them."""

import pytest

from tests.client.either import Either
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import Lobby, LobbyFailed, StillWaiting

URL = "https://play.example/l/duel"


def lobby(status: str, url: str = "", **more: str) -> Scripted:
    return Scripted(200, {"name": "duel", "url": url, "status": status, **more})


def test_all_of_them(client: Either, server: FakeServer) -> None:
    server.script(Scripted(200, [{"name": "duel", "url": URL, "status": "Released"}, {"name": "new", "url": ""}]))
    assert client(lambda c: c.lobbies.all()) == (
        Lobby(name="duel", url=URL, status="Released"),
        Lobby(name="new"),
    )


def test_a_lobby_is_returned_once_it_has_a_url(client: Either, server: FakeServer) -> None:
    server.script(lobby("Deploying"), lobby("Deploying"), lobby("Released", URL))
    seen: list[str] = []
    released = client(lambda c: c.lobbies.wait_until_released("duel", on_change=lambda each: seen.append(each.status)))
    assert released.url == URL
    assert released.is_released
    assert seen == ["Deploying", "Released"]


@pytest.mark.parametrize("status", ["Created", "Error", "Terminating", "Terminated"])
def test_a_lobby_that_nobody_is_deploying_is_not_waited_for(status: str, client: Either, server: FakeServer) -> None:
    server.script(lobby("Deploying"), lobby(status, error="something else answers there"))
    with pytest.raises(LobbyFailed, match="something else answers there") as caught:
        client(lambda c: c.lobbies.wait_until_released("duel"))
    assert caught.value.lobby.status == status


def test_the_end_of_a_lobby_is_waited_for(client: Either, server: FakeServer) -> None:
    server.script(lobby("Terminating"), lobby("Terminated"))
    assert client(lambda c: c.lobbies.wait_until_terminated("duel")).status == "Terminated"
    server.script(lobby("Terminating"))
    with pytest.raises(StillWaiting, match="end of lobby duel"):
        client(lambda c: c.lobbies.wait_until_terminated("duel", timeout=1))
