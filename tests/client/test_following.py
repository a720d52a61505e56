"""Following a room over connections that break, stay silent, or come to nothing."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from tests.client.either import Either, either_lobby_service
from tests.client.fake_server import FakeServer, Scripted
from waymeet.client import (
    AsyncLobbyService,
    Forbidden,
    LobbyService,
    NotFound,
    RateLimited,
    Room,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from waymeet.client.lobbies.following import SILENCE_SECONDS

ID = "b604763bed781cf6e78f7881a607eba2"
CLOSED = b"event: closed\ndata: {}\n\n"
RETRY = b"retry: 1000\n\n"
HEARTBEAT = b": still here\n\n"


def version(number: int) -> bytes:
    room = {"lobby_id": ID, "capacity": 4, "player_count": number}
    return b"event: lobby\nid: %d\ndata: %b\n\n" % (number, json.dumps(room).encode())


def stream(*parts: bytes) -> Scripted:
    return Scripted(parts=(RETRY, *parts))


@pytest.fixture
def service(kind: str, server: FakeServer) -> Iterator[Either]:
    with either_lobby_service(kind, server.url, game_key="s3cret") as either:
        yield either


def follow(service: Either, **options: Any) -> list[int]:
    rooms: list[Room] = service(lambda s: s.follow(ID, **options))
    return [room.player_count for room in rooms]


def test_each_version_until_the_end(service: Either, server: FakeServer) -> None:
    server.script(stream(version(1), HEARTBEAT, version(2), b"event: news\ndata: {}\n\n", version(3), CLOSED))
    assert follow(service) == [1, 2, 3]
    (asked,) = server.asked
    assert asked.path == f"/lobbies/{ID}/events"
    assert asked.headers["accept"] == "text/event-stream"
    assert asked.headers["x-game-key"] == "s3cret"
    assert asked.headers["accept-encoding"] == "identity"
    assert "last-event-id" not in asked.headers


def test_a_stream_that_ends_is_taken_up_where_it_ended(service: Either, server: FakeServer) -> None:
    server.script(stream(version(1), version(2)), stream(HEARTBEAT), stream(version(3), CLOSED))
    assert follow(service) == [1, 2, 3]
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "2", "2"]
    assert service.clock.pauses == [1.0, 1.0]


def test_the_server_says_how_long_to_wait(service: Either, server: FakeServer) -> None:
    server.script(Scripted(parts=(b"retry: 4000\n\n",)), Scripted(parts=(b"retry: 9999999\n\n",)), stream(CLOSED))
    follow(service)
    assert service.clock.pauses == [4.0, 10.0], "within reason"


def test_a_room_that_ended_while_nobody_was_connected(service: Either, server: FakeServer) -> None:
    server.script(stream(version(1)), Scripted(404, {"message": "NotFound"}))
    assert follow(service) == [1]


def test_a_room_that_never_was(service: Either, server: FakeServer) -> None:
    server.script(Scripted(404, {"message": "NotFound"}))
    with pytest.raises(NotFound):
        follow(service)


def test_what_trying_again_cannot_mend_is_raised_at_once(service: Either, server: FakeServer) -> None:
    server.script(Scripted(403, {"message": "send the game's key"}))
    with pytest.raises(Forbidden, match="the game's key"):
        follow(service)
    for wrong in (Scripted(200, {"lobby_id": ID}), stream(b"event: lobby\ndata: nonsense\n\n")):
        server.script(wrong)
        with pytest.raises(UnexpectedAnswer):
            follow(service)
    assert service.clock.pauses == []


@pytest.mark.parametrize("status", [502, 503, 429])
def test_a_service_that_is_away_for_a_moment(status: int, service: Either, server: FakeServer) -> None:
    away = Scripted(status, b"<html>bad gateway</html>")
    server.script(stream(version(1)), *[away] * 8, stream(version(2)), away, stream(version(3), CLOSED))
    assert follow(service) == [1, 2, 3]
    pauses = service.clock.pauses
    assert pauses[:9] == sorted(pauses[:9]), "each longer than the one before"
    assert pauses[8] == 10.0, "but not too long"
    assert pauses[9:] == [1.0, 1.5], "once it is back, quick again"


def test_an_answer_that_ends_at_once_is_no_reason_to_hurry(service: Either, server: FakeServer) -> None:
    server.script(Scripted(parts=()))
    with pytest.raises(Unreachable, match="before it said anything"):
        follow(service, patience=5)
    assert service.clock.pauses == [1.0, 1.5, 2.25, pytest.approx(3.375)]


def test_patience_ends(service: Either, server: FakeServer) -> None:
    server.script(stream(version(1)), Scripted(503, {"message": "stopping"}))
    with pytest.raises(Unavailable, match="stopping"):
        follow(service, patience=30)
    assert 30 <= sum(service.clock.pauses[1:]) < 40
    server.script(Scripted(429, {"message": "100 event streams are open"}, {"Retry-After": "10"}))
    service.clock.pauses.clear()
    with pytest.raises(RateLimited, match="100 event streams"):
        follow(service, patience=25)
    assert service.clock.pauses == [10.0, 10.0], "a third pause would outlast it"


def test_patience_begins_anew_with_each_absence(service: Either, server: FakeServer) -> None:
    away = [Scripted(503, {"message": "starting"})] * 4
    server.script(stream(version(1)), *away, stream(HEARTBEAT), *away, stream(CLOSED))
    assert follow(service, patience=9) == [1]


def test_many_do_not_come_back_at_the_same_moment(kind: str, server: FakeServer) -> None:
    server.script(stream(version(1)), stream(version(2)), stream(CLOSED))
    with either_lobby_service(kind, server.url, rng=None) as service:
        follow(service)
    first, second = service.clock.pauses
    assert first != second
    assert all(1.0 <= pause <= 1.5 for pause in service.clock.pauses)


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer's body that may break, and remembers whether it was closed."""

    def __init__(self, *parts: bytes, problem: Exception | None = None) -> None:
        self.parts = parts
        self.problem = problem
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts
        if self.problem is not None:
            raise self.problem

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def transport(answers: list[Parts | Exception], asked: list[httpx.Request]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        came = answers[min(len(asked), len(answers)) - 1]
        if isinstance(came, Exception):
            raise came
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=came)

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    "problem", [httpx.ReadError("reset"), httpx.ReadTimeout("silent"), httpx.RemoteProtocolError("cut")]
)
def test_a_connection_that_breaks_or_falls_silent(kind: str, problem: Exception) -> None:
    asked: list[httpx.Request] = []
    broken = Parts(RETRY, version(1), problem=problem)
    answers: list[Parts | Exception] = [broken, httpx.ConnectError("refused"), Parts(RETRY, version(2), CLOSED)]
    with either_lobby_service(kind, "http://duel.example", transport=transport(answers, asked)) as service:
        assert follow(service) == [1, 2]
        assert service.clock.pauses == [1.0, 1.5]
    assert [request.headers.get("last-event-id") for request in asked] == [None, "1", "1"]
    assert broken.closed
    # The rest of the connection is as impatient as any call.
    timeout = asked[0].extensions["timeout"]
    assert timeout["read"] == SILENCE_SECONDS
    assert timeout["connect"] != SILENCE_SECONDS


def test_nobody_there_at_all(kind: str) -> None:
    answers: list[Parts | Exception] = [httpx.ConnectError("refused")]
    with (
        either_lobby_service(kind, "http://duel.example", transport=transport(answers, [])) as service,
        pytest.raises(Unreachable, match="refused"),
    ):
        follow(service, patience=20)


def test_leaving_the_loop_closes_the_connection() -> None:
    body = Parts(RETRY, version(1), version(2))
    with LobbyService("http://duel.example", transport=transport([body], [])) as service:
        for _ in service.follow(ID):
            assert not body.closed
            break
        assert body.closed


@pytest.mark.anyio
async def test_closing_the_iterator_closes_the_connection() -> None:
    body = Parts(RETRY, version(1), version(2))
    async with AsyncLobbyService("http://duel.example", transport=transport([body], [])) as service:
        async with aclosing(service.follow(ID)) as rooms:
            async for _ in rooms:
                break
            assert not body.closed
        assert body.closed
