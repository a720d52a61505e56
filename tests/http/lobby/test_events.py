"""Following a room as server-sent events."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack

import pytest

from tests.http.lobby.events import END, HEARTBEAT, RETRY, following
from tests.http.lobby.served import LobbyServer, player_in, serving
from tests.lobbies.world import GUEST, HOST, LobbyWorld
from tests.polling import eventually_async
from tests.relays.hands import HandRelay
from waymeet.http.call import Stream

pytestmark = pytest.mark.anyio


async def until(check: Callable[[], bool]) -> None:
    async def so() -> bool:
        return check()

    await eventually_async(so)


async def test_the_state_first_and_then_each_change(service: LobbyServer, relay: HandRelay) -> None:
    room = await service.room()
    path = f"/lobbies/{room['lobby_id']}"
    async with following(service, room) as events:
        headers = events.response.headers
        assert headers["content-type"].startswith("text/event-stream")
        assert (headers["cache-control"], headers["access-control-allow-origin"]) == ("no-store", "*")
        assert "content-length" not in headers
        opening = await events.next()
        assert (opening.kind, opening.body > 0) == (RETRY, True)
        first = await events.next()
        assert (first.kind, first.body) == ("lobby", room)
        await service.answer("POST", "/lobbies:join", player_in(room, "bob"))
        second = await events.lobby()
        assert second.body == await service.answer("GET", path)
        assert second.id > first.id  # type: ignore[operator]
        await service.answer("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}, status=202)
        started = await events.lobby()
        assert (started.body["is_started"], started.body["assignment"]) == (True, None)
        await relay.catch_up()
        ready = await events.lobby()
        assert ready.body == await service.answer("GET", path)
        assert None not in [player["authorization_token"] for player in ready.body["players"]]
        async with relay.at_work():
            await service.answer("DELETE", path, {}, status=204)
        assert await events.ends_with() == ["closed"]
    await service.refused(404, "GET", f"{path}/events")


async def test_coming_back(world: LobbyWorld) -> None:
    async with serving(world, heartbeat_seconds=0.01) as service:
        room = await service.room()
        async with following(service, room) as events:
            seen = (await events.lobby()).id
        # Nothing new: what comes is the next change, after any number of signs of life.
        async with following(service, room, seen) as events:
            assert (await events.next()).kind == RETRY
            assert (await events.next()).kind == HEARTBEAT
            assert (await events.next()).kind == HEARTBEAT
            await service.answer("POST", "/lobbies:join", player_in(room, "bob"))
            change = await events.lobby()
            assert change.body["player_count"] == 2
        # Something happened meanwhile, or the client has seen what never was.
        for known in (seen, 0, 999_999, "", "x", "-1", "1e3", "9" * 400, "²"):
            async with following(service, room, known) as events:
                assert (await events.lobby()).id == change.id
        async with following(service, room, change.id) as events:
            await service.answer("DELETE", f"/lobbies/{room['lobby_id']}", {}, status=204)
            assert await events.ends_with() == [RETRY, "closed"]


async def test_each_sees_its_own_tokens_where_the_operator_says_so(world: LobbyWorld, relay: HandRelay) -> None:
    async with serving(world, own_tokens_only=True) as service:
        room = await service.room(source=HOST)
        await service.answer("POST", "/lobbies:join", player_in(room, "bob"), source=GUEST)
        await service.answer("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}, status=202)
        await relay.catch_up()
        ((_, spec),) = relay.serves.items()
        for source, expected in ((HOST, [spec.members[0].token, None]), (GUEST, [None, spec.members[1].token])):
            async with following(service, room, source=source) as events:
                seen = (await events.lobby()).body
                assert [player["authorization_token"] for player in seen["players"]] == expected


async def test_whoever_is_gone_leaves_nothing_behind(service: LobbyServer) -> None:
    room, other = await service.room(), await service.room()
    watch = service.lobbies.watch
    for _ in range(3):
        async with following(service, room) as first, following(service, room) as second:
            await first.lobby()
            await second.lobby()
            assert watch.count == 2
        await until(lambda: watch.count == 0)
    # In the middle of the head, before the first event was sent, or of a room that is not there.
    for sent in (b"GET /l/duel/lobb", _request(room), _request(other), _request({"lobby_id": "x"})):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()
        del reader
    await until(lambda: watch.count == 0 and not watch._watched and not watch._by_source)
    await service.answer("DELETE", f"/lobbies/{room['lobby_id']}", {}, status=204)


async def test_a_head_without_a_body(service: LobbyServer) -> None:
    room = await service.room()
    for _ in range(3):
        # On the same connection: were the first not over, the second would never be answered.
        response = await service.call("HEAD", f"/lobbies/{room['lobby_id']}/events")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"].startswith("text/event-stream")
    assert service.lobbies.watch.count == 0


async def test_what_a_stream_holds_is_given_back_even_if_it_never_began() -> None:
    given_back: list[str] = []

    async def parts() -> AsyncGenerator[bytes, None]:
        yield b""

    resources = AsyncExitStack()
    resources.callback(given_back.append, "all")
    stream = Stream(parts(), "text/event-stream", resources)
    await stream.close()
    await stream.close()
    assert given_back == ["all"]


async def test_so_many_from_one_address_and_so_many_in_all(world: LobbyWorld) -> None:
    async with serving(world, streams=3, streams_per_address=2) as service:
        room = await service.room()
        path = f"/lobbies/{room['lobby_id']}/events"
        async with following(service, room, source=HOST), following(service, room, source=HOST):
            response = await service.call("GET", path, source=HOST)
            assert (response.status_code, int(response.headers["retry-after"]) > 0) == (429, True)
            assert f"2 event streams are open from {HOST}" in response.json()["message"]
            async with following(service, room, source=GUEST):
                response = await service.call("GET", path, source=GUEST)
                assert (response.status_code, int(response.headers["retry-after"]) > 0) == (503, True)
                assert response.headers["access-control-allow-origin"] == "*"
            # Polling goes on.
            await service.answer("GET", f"/lobbies/{room['lobby_id']}", source=HOST)
        await until(lambda: service.lobbies.watch.count == 0)
        async with following(service, room, source=HOST) as events:
            assert (await events.lobby()).body == room


async def test_no_streams_where_the_operator_wants_none(world: LobbyWorld) -> None:
    async with serving(world, streams=0) as service:
        room = await service.room()
        assert "poll instead" in await service.refused(503, "GET", f"/lobbies/{room['lobby_id']}/events")


async def test_who_reads_slowly_keeps_nobody_waiting_and_costs_no_memory(service: LobbyServer) -> None:
    heavy = [{"inject": False, "key": "k", "value": "v" * 1000}] * 30
    room = await service.room(annotations=heavy)
    path = f"/lobbies/{room['lobby_id']}"
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    with slow:
        await loop.sock_connect(slow, ("127.0.0.1", service.port))
        await loop.sock_sendall(slow, _request(room, close=True))
        changes = 400
        async with following(service, room) as events:
            await events.lobby()
            for number in range(changes):
                await service.answer("PATCH", path, {"tags": [str(number)]})
                # The quick one sees each of them.
                assert (await events.lobby()).body["tags"] == [str(number)]
            await service.answer("DELETE", path, {}, status=204)
            assert await events.ends_with() == ["closed"]
        received = b""
        while part := await loop.sock_recv(slow, 1 << 20):
            received += part
    # Levels, not deltas: it missed most of them, and nothing that still counts.
    assert received.count(b"event: lobby") < changes / 2
    assert received.count(b"event: closed") == 1
    await until(lambda: service.lobbies.watch.count == 0)


async def test_streams_end_when_the_server_stops(world: LobbyWorld) -> None:
    # Longer than any test may take: were a stream waited for, this would not end.
    async with serving(world, graceful_seconds=1000) as service:
        room = await service.room()
        async with following(service, room) as first, following(service, room) as second:
            for events in (first, second):
                await events.lobby()
            stopping = asyncio.create_task(service.stop())
            for events in (first, second):
                # Without `closed`: the room goes on, and so can they, elsewhere or a little later.
                assert await events.ends_with() == []
            await stopping
        assert service.lobbies.watch.count == 0
    async with serving(world) as service:
        assert (await service.answer("GET", f"/lobbies/{room['lobby_id']}")) == room


async def test_a_lobby_that_is_terminated_closes_its_rooms_streams(service: LobbyServer, world: LobbyWorld) -> None:
    room = await service.room()
    async with following(service, room) as events:
        await events.lobby()
        await world.terminated()
        assert await events.ends_with() == ["closed"]
        assert (await events.next()).kind == END


def _request(room: dict[str, str], *, close: bool = False) -> bytes:
    ending = "Connection: close\r\n" if close else ""
    return f"GET /l/duel/lobbies/{room['lobby_id']}/events HTTP/1.1\r\nHost: x\r\n{ending}\r\n".encode()
