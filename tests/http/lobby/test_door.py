"""Which requests a lobby service takes, and what browsers on other sites need to hear from it."""

import asyncio

import pytest

from tests.http.lobby.served import LobbyServer, new_room, player_in, serving
from tests.lobbies.world import LobbyWorld

pytestmark = pytest.mark.anyio

ORIGIN = {"origin": "https://games.example.org"}


def is_open(headers: object) -> bool:
    return headers["access-control-allow-origin"] == "*" and "access-control-allow-credentials" not in headers  # type: ignore[index, operator]


async def test_pages_of_any_origin_may_call(service: LobbyServer) -> None:
    room = await service.room()
    one, body = f"/lobbies/{room['lobby_id']}", player_in(room, "bob")
    for method, path, sent, status in (
        ("GET", "/lobbies", None, 200),
        ("POST", "/lobbies", new_room(), 200),
        ("GET", one, None, 200),
        ("HEAD", one, None, 200),
        ("PATCH", one, {}, 200),
        ("POST", "/lobbies:join", body, 200),
        ("POST", "/lobbies:leave", body, 204),
        ("POST", "/lobbies:leave", body, 404),
        ("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}, 503),
        ("POST", "/lobbies", b"{", 400),
        ("POST", "/lobbies", b'"' + b"x" * 70_000 + b'"', 413),
        ("PUT", "/lobbies", {}, 405),
        ("GET", "/lobbies:join", None, 405),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/lobbies/", {}, 404),
        ("DELETE", one, {}, 204),
        ("GET", "/%ff", None, 400),
        ("GET", f"{one}/events", None, 404),
    ):
        response = await service.call(method, path, sent, headers=ORIGIN)
        assert response.status_code == status, (method, path)
        assert is_open(response.headers), (method, path)
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {"retry-after", "waymeet-lobby", "x-request-id"} <= set(exposed)
    elsewhere = await service.client.get(f"{service.origin}/l/nobody/lobbies", headers=ORIGIN)
    assert (elsewhere.status_code, is_open(elsewhere.headers)) == (404, True)


@pytest.mark.parametrize("path", ["/lobbies", "/lobbies/x", "/lobbies:join", "/lobbies/x/events", "/nothing", ""])
async def test_browsers_that_ask_first(service: LobbyServer, path: str) -> None:
    asks = ORIGIN | {"access-control-request-method": "PATCH", "access-control-request-headers": "content-type"}
    response = await service.call("OPTIONS", path or "/", headers=asks)
    assert (response.status_code, response.content) == (204, b"")
    assert is_open(response.headers)
    allowed = response.headers["access-control-allow-methods"].split(", ")
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(allowed)
    sent = response.headers["access-control-allow-headers"].split(", ")
    assert {"content-type", "accept", "last-event-id", "x-game-key"} <= set(sent)
    assert int(response.headers["access-control-max-age"]) > 0


async def test_only_lobby_services_are_open(service: LobbyServer) -> None:
    for path in ("/v1/lobbies", "/healthz", "/l", "/lx/duel/lobbies"):
        for method in ("GET", "OPTIONS"):
            response = await service.client.request(method, service.origin + path, headers=ORIGIN)
            assert "access-control-allow-origin" not in response.headers
    assert (await service.client.options(f"{service.origin}/v1/lobbies")).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/l/duel/lobbies",
        "/l/duel//lobbies",
        "//l/duel/lobbies",
        "/l//duel///lobbies",
        "///l/duel/lobbies",
        "/l/duel/%6Cobbies",
        "/l/%64uel/lobbies",
    ],
)
async def test_slashes_that_clients_put_together(service: LobbyServer, path: str) -> None:
    room = await service.room()
    # Not through the client, which would straighten the path.
    answer = await raw(service, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 200 ")
    assert room["lobby_id"] in answer


@pytest.mark.parametrize(
    "path", ["/l/duel/lobbies/", "/l/duel/Lobbies", "/l/duel/lobbies//", "/l/duel%2Flobbies", "/l/"]
)
async def test_other_paths_are_nothing(service: LobbyServer, path: str) -> None:
    answer = await raw(service, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 404 ")
    assert '{"message":' in answer


@pytest.mark.parametrize("colon", [":", "%3A", "%3a"])
@pytest.mark.parametrize("slash", ["/", "//"])
async def test_verbs_behind_a_colon(service: LobbyServer, colon: str, slash: str) -> None:
    room = await service.room()
    body = f'{{"lobby_id":"{room["lobby_id"]}","player":{{"id":"bob"}}}}'
    for verb, status in (("join", 200), ("leave", 204), ("start", 503), ("kick", 404)):
        head = f"POST /l/duel{slash}lobbies{colon}{verb} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        assert (await raw(service, head + kind + body)).startswith(f"HTTP/1.1 {status} ")


async def test_no_redirects_and_no_key(service: LobbyServer) -> None:
    response = await service.call("GET", "/lobbies", headers={"authorization": "Bearer nonsense"})
    assert response.status_code == 200
    assert (await service.client.get(service.url, follow_redirects=False)).status_code == 404


async def test_lobbies_by_their_host_names(world: LobbyWorld) -> None:
    async with serving(world, domain="Lobby.Example.org".lower()) as service:

        async def status(host: str, path: str) -> int:
            answer = await raw(service, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            assert ("access-control-allow-origin: *" in answer) == (host.lower().count("example") > 0)
            return int(answer.split(" ")[1])

        for host in ("duel.lobby.example.org", "DUEL.Lobby.Example.org:8443", "duel.lobby.example.org."):
            for path in ("/lobbies", "//lobbies"):
                assert await status(host, path) == 200
            # Nothing else is there: no manager, no documentation, no other lobby.
            for path in ("/v1/lobbies", "/healthz", "/l/duel/lobbies", "/"):
                assert await status(host, path) == 404
        assert await status("nobody.lobby.example.org", "/lobbies") == 404
        assert await status("%ff.lobby.example.org", "/lobbies") in (400, 404)
        assert await status("a/duel.lobby.example.org", "/lobbies") in (400, 404)
        for host in ("localhost", "lobby", "duel.lobby.org", "[::1]:8080", "evillobby.org"):
            assert await status(host, "/healthz") == 200
        # By path they are there too.
        assert await status("localhost:8080", "/lobbies") == 404
        room = await service.room()
        join = f'{{"lobby_id":"{room["lobby_id"]}","player":{{"id":"bob"}}}}'
        answer = await raw(
            service,
            "POST /lobbies:join HTTP/1.1\r\nHost: duel.lobby.example.org\r\nConnection: close\r\n"
            f"Content-Length: {len(join)}\r\n\r\n{join}",
        )
        assert answer.startswith("HTTP/1.1 200 ")
        (lobby,) = await service.lobbies.manager.all((await world.every_lobby())[0].organisation)
        assert lobby.url == "https://lobbies.example.org/l/duel"


async def test_who_answers_a_deployed_lobby_is_that_lobby(world: LobbyWorld) -> None:
    """The whole way, over the socket: create, deploy, look whether it answers, released."""
    async with serving(world) as service:
        made = await service.manage("POST", "/v1/lobbies", {"name": "race"})
        assert made.json() == {"name": "race", "url": "", "status": "Created"}
        assert (await service.manage("POST", "/v1/lobbies:deploy", {"name": "race"})).status_code == 202
        running = asyncio.ensure_future(service.lobbies.loops["lobbies"]())
        try:
            url = (await service.until_moved("race"))["url"]
            assert url == f"{service.origin}/l/race"
            assert (await service.client.get(f"{url}/lobbies")).json() == {"count": 0, "data": []}
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def raw(service: LobbyServer, sent: str) -> str:
    """Everything that comes back for what was sent as it is, with header names in lower case."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(sent.encode("latin-1"))
        await writer.drain()
        return (await reader.read()).decode()
    finally:
        writer.close()
        await writer.wait_closed()
