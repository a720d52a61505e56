"""A lobby service on a real socket, over a world whose clock and relays the test moves by hand."""

import asyncio
import ipaddress
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx
from prometheus_client import CollectorRegistry

from tests.http.table import KEY, KnownKeys
from tests.lobbies.world import LOBBY, LobbyWorld
from tests.polling import GENEROUS_SECONDS, eventually_async
from tests.relays.hands import HandRelay
from tests.world import ORGANISATION
from waymeet.accounts.types import Caller
from waymeet.http.application import create_app
from waymeet.http.limits import HttpLimits
from waymeet.http.server import ServerSettings, bind, server_for
from waymeet.http.v1.lobbies import LobbyEndpoints
from waymeet.main.lobbies import Lobbies, RelayParts
from waymeet.settings import Settings
from waymeet.settings.types import LobbySettings

STEADY: dict[str, Any] = {"creations_per_minute": 0, "requests_per_second": 0, "rooms_per_address": 0}
"""Settings with which nobody is refused for being quick."""


class Keys(KnownKeys):
    async def caller(self, secret: str) -> Caller | None:
        return Caller(ORGANISATION, "t1") if secret == KEY else None


class LobbyServer:
    """The server, and what players and the operator ask of it."""

    def __init__(
        self,
        world: LobbyWorld,
        *,
        heartbeat_seconds: float = GENEROUS_SECONDS,
        graceful_seconds: int = 1,
        **settings: Any,
    ) -> None:
        self.world = world
        self._listener = bind("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        parts = RelayParts(
            planner=world.relay_planner,
            writing=world.relay_writing,
            endings=world.relay_endings,
            confirmations=world.confirmations,
            followers=world.rooms_follow,
        )
        chosen = Settings(public_url=self.origin, lobbies=LobbySettings(**STEADY | settings))
        self.lobbies = Lobbies(
            chosen, world.store, parts, world.clock, random.Random(7), heartbeat_seconds=heartbeat_seconds
        )
        app = create_app(
            [*LobbyEndpoints(self.lobbies.manager).table(), *self.lobbies.endpoints],
            authenticator=Keys(),
            clock=world.clock,
            rng=random.Random(7),
            # So that a test can say where a request comes from.
            limits=HttpLimits(rates={}, trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),)),
            door=self.lobbies.door,
            registry=CollectorRegistry(),
        )
        self.server = server_for(
            app, ServerSettings(graceful_seconds=graceful_seconds), stopping=self.lobbies.watch.close
        )
        self._serving: asyncio.Task[None] | None = None
        self.url = f"{self.origin}/l/{LOBBY}"
        self.client = httpx.AsyncClient(trust_env=False, timeout=GENEROUS_SECONDS)

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self.server.serve(sockets=[self._listener]))

        async def is_started() -> bool:
            return self.server.started

        await eventually_async(is_started)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.client.aclose()
        await self.stop()

    async def stop(self) -> None:
        """Stop serving, as on SIGTERM. Repeatable."""
        self.server.should_exit = True
        if self._serving is not None:
            await self._serving
        await self.lobbies.close()

    async def call(
        self, method: str, path: str, body: Any = None, *, source: str | None = None, **more: Any
    ) -> httpx.Response:
        """What a player asks below the lobby's URL, from 127.0.0.1 or elsewhere."""
        headers: dict[str, str] = {} if source is None else {"x-forwarded-for": source}
        if body is not None:
            more["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["content-type"] = "application/json"
        headers |= more.pop("headers", {})
        return await self.client.request(method, self.url + path, headers=headers, **more)

    async def answer(self, method: str, path: str, body: Any = None, *, status: int = 200, **more: Any) -> Any:
        """The body of an answer that has to have this status."""
        response = await self.call(method, path, body, **more)
        assert response.status_code == status, response.text
        if status == 204:
            assert response.content == b""
            return None
        assert response.headers["content-type"] == "application/json"
        return response.json()

    async def refused(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> str:
        """The message of a refusal; it has to be JSON with a message, and open to every origin."""
        response = await self.call(method, path, body, **more)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/json"
        assert response.headers["access-control-allow-origin"] == "*"
        message = response.json()["message"]
        assert isinstance(message, str)
        assert message
        return message

    async def manage(self, method: str, path: str, body: Any = None, *, key: str | None = KEY) -> httpx.Response:
        """What the operator asks of the manager."""
        headers = {} if key is None else {"authorization": f"token {key}"}
        return await self.client.request(method, self.origin + path, json=body, headers=headers)

    async def until_moved(self, name: str) -> Any:
        """A lobby as the manager shows it, once it is neither being deployed nor terminated."""

        async def found() -> Any:
            lobby = (await self.manage("GET", f"/v1/lobbies/{name}")).json()
            return lobby if lobby["status"] not in ("Deploying", "Terminating") else None

        return await eventually_async(found)

    async def room(self, **members: Any) -> Any:
        """A new room as a player sees it."""
        source = members.pop("source", None)
        return await self.answer("POST", "/lobbies", new_room(**members), source=source)

    async def started(self, relay: HandRelay, *guests: str, **members: Any) -> Any:
        """A room whose relay session is ready."""
        room = await self.room(**members)
        for guest in guests:
            await self.answer("POST", "/lobbies:join", player_in(room, guest))
        await self.answer("POST", "/lobbies:start", {"lobby_id": room["lobby_id"]}, status=202)
        await relay.catch_up()
        return await self.answer("GET", f"/lobbies/{room['lobby_id']}")


def new_room(**members: Any) -> dict[str, Any]:
    """What Mirror's transport sends."""
    return {
        "annotations": [],
        "capacity": 4,
        "is_joinable": True,
        "name": "Friday",
        "player": {"id": "mirror-player-1"},
        "tags": [],
    } | members


def player_in(room: Any, player_id: str) -> dict[str, Any]:
    return {"lobby_id": room["lobby_id"], "player": {"id": player_id}}


@asynccontextmanager
async def serving(world: LobbyWorld, **settings: Any) -> AsyncIterator[LobbyServer]:
    """A server with a released lobby."""
    if not await world.lobbies.all(ORGANISATION):
        await world.released()
    async with LobbyServer(world, **settings) as server:
        yield server
