"""Whether a lobby service answers where players will call it: asked over real sockets, as they do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.world import HandClock
from waymeet.lobbies.answering import HttpAnswering
from waymeet.lobbies.types import Lobby
from waymeet.model.ids import LobbyId, OrganisationId
from waymeet.model.states import LobbyStatus

pytestmark = pytest.mark.anyio

LOBBY = Lobby(
    lobby_id=LobbyId("0123"),
    organisation=OrganisationId("o"),
    name="duel",
    address="duel-1",
    status=LobbyStatus.DEPLOYING,
    created_at=HandClock().now(),
)
GOOD = b"HTTP/1.1 200 OK\r\nWaymeet-Lobby: 0123\r\nContent-Length: 2\r\n\r\n{}"


class Place:
    """Answers every request on loopback with the same bytes; without any, never."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self.heads: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if self._answer is not None:
            writer.write(self._answer)
            writer.close()
        else:
            await reader.read()
            writer.close()


@asynccontextmanager
async def place(answer: bytes | None) -> AsyncIterator[Place]:
    made = Place(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


@asynccontextmanager
async def answering(
    local_url: str | None = None, headers: dict[str, str] | None = None, timeout_seconds: float = 100
) -> AsyncIterator[HttpAnswering]:
    made = HttpAnswering(local_url, headers, timeout_seconds)
    try:
        yield made
    finally:
        await made.close()
        await made.close()


async def test_it_answers_and_says_who_it_is() -> None:
    async with place(GOOD) as there, answering(headers={"x-game-key": "fun"}) as asking:
        for _ in range(2):
            assert await asking.check(LOBBY, f"{there.url}/l/duel-1") is None
        assert there.heads[0].startswith("GET /l/duel-1/lobbies HTTP/1.1\r\n")
        assert "x-game-key: fun\r\n" in there.heads[0].lower()


async def test_where_this_machine_does_not_reach_its_own_address() -> None:
    async with place(GOOD) as there, answering(there.url) as asking:
        assert await asking.check(LOBBY, "https://duel.lobby.invalid") is None
        assert there.heads[0].startswith("GET /l/duel-1/lobbies HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (GOOD.replace(b"0123", b"4567"), "something else answers"),
        (GOOD.replace(b"Waymeet-Lobby", b"Server"), "something else answers"),
        (GOOD.replace(b"200 OK", b"404 Not Found"), "the answer is 404"),
        (GOOD.replace(b"200 OK", b"503 Away"), "the answer is 503"),
        # Clients do not follow either: their POST would become a GET.
        (GOOD.replace(b"200 OK", b"302 Found\r\nLocation: http://127.0.0.1/"), "the answer is 302"),
        (b"SSH-2.0-server\r\n", ""),
        (b"", ""),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 200_000, ""),
    ],
    ids=range(8),
)
async def test_what_is_no_answer(answer: bytes, problem: str) -> None:
    async with place(answer) as there, answering() as asking:
        said = await asking.check(LOBBY, there.url)
        assert said
        assert problem in said
        assert len(said) <= 200


async def test_nobody_is_waited_for_for_long() -> None:
    async with place(None) as there, answering(timeout_seconds=0.05) as asking:
        assert await asking.check(LOBBY, there.url) == "no answer within 0.05 s"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1", "http://[", "gopher://x", "", "http://127.0.0.1:99999", "//\0"],
)
async def test_urls_that_lead_nowhere(url: str) -> None:
    async with answering() as asking:
        assert await asking.check(LOBBY, url)
