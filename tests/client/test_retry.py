from collections.abc import Callable
from typing import Any

import pytest

from tests.client.either import Either, either_client
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import RateLimited, Retry, ServerError, Unavailable

BUSY = Scripted(503, {"message": "starting"})
LIST = Scripted(200, {"data": []})


def test_a_read_is_made_again_until_it_succeeds(client: Either, server: FakeServer) -> None:
    server.script(BUSY, Scripted(429, {"message": "slow down"}), LIST)
    assert client(lambda c: c.sessions.page()).items == ()
    assert len(server.asked) == 3
    assert client.clock.pauses == [0.25, 0.5]


def test_tries_are_bounded(client: Either, server: FakeServer) -> None:
    server.script(BUSY)
    with pytest.raises(Unavailable, match="starting"):
        client(lambda c: c.sessions.page())
    assert len(server.asked) == 3


def test_the_servers_wish_is_honoured(client: Either, server: FakeServer) -> None:
    server.script(Scripted(429, {}, {"Retry-After": "4"}), LIST)
    client(lambda c: c.sessions.page())
    assert client.clock.pauses == [4]


def test_a_date_is_measured_against_the_answers_own_clock(client: Either, server: FakeServer) -> None:
    headers = {"Retry-After": "Tue, 01 Jul 2025 12:00:06 GMT", "Date": "Tue, 01 Jul 2025 12:00:01 GMT"}
    server.script(Scripted(503, {}, headers), LIST)
    client(lambda c: c.sessions.page())
    assert client.clock.pauses == [5]


@pytest.mark.parametrize("wish", ["soon", "-1", "1e3", "Tue, 01 Jul 2025 12:00:06 GMT", "9" * 40])
def test_a_wish_that_does_not_read_counts_as_none(wish: str, client: Either, server: FakeServer) -> None:
    server.script(Scripted(503, {}, {"Retry-After": wish}), LIST)
    client(lambda c: c.sessions.page())
    assert client.clock.pauses == [0.25]


def test_a_wish_beyond_patience_is_raised_at_once(client: Either, server: FakeServer) -> None:
    server.script(Scripted(429, {"message": "come back tomorrow"}, {"Retry-After": "86400"}))
    with pytest.raises(RateLimited) as caught:
        client(lambda c: c.sessions.page())
    assert caught.value.retry_after == 86400
    assert (len(server.asked), client.clock.pauses) == (1, [])


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.sessions.create("arena", ips=["203.0.113.7"]),
        lambda c: c.sessions.add_users("950dd2eaff09-S", ["203.0.113.7"]),
        lambda c: c.sessions.remove_users("950dd2eaff09-S", ["203.0.113.7"]),
        lambda c: c.deployments.deploy("arena"),
        lambda c: c.webhooks.replay("w1"),
        lambda c: c.webhooks.rotate_secret(),
    ],
    ids=["create", "add users", "remove users", "deploy", "replay", "rotate"],
)
def test_what_must_not_happen_twice_is_never_made_again(
    call: Callable[[Any], Any], client: Either, server: FakeServer
) -> None:
    server.script(BUSY)
    with pytest.raises(Unavailable):
        client(call)
    assert len(server.asked) == 1


def test_other_errors_are_not_made_again(client: Either, server: FakeServer) -> None:
    server.script(Scripted(500, {"message": "bug"}))
    with pytest.raises(ServerError):
        client(lambda c: c.sessions.page())
    assert len(server.asked) == 1


def test_it_can_be_switched_off(kind: str, server: FakeServer) -> None:
    server.script(BUSY)
    with either_client(kind, server.url, retry=Retry(attempts=1)) as client, pytest.raises(Unavailable):
        client(lambda c: c.sessions.page())
    assert len(server.asked) == 1


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="attempts is 0"):
        Retry(attempts=0)
