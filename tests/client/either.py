"""One way to use both clients, so that each test runs over both."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.polling import GENEROUS_SECONDS
from waymeet.client import (
    AsyncClient,
    AsyncGameServer,
    AsyncLobbyService,
    Client,
    GameServer,
    GameServerAccess,
    LobbyService,
)


@dataclass
class HandClock:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Either:
    """Carries out calls on either client: `either(lambda client: client.sessions.users("x"))`."""

    def __init__(self, client: Any, run: Callable[[Any], Any], clock: HandClock) -> None:
        self._client = client
        self._run = run
        self.clock = clock

    def __call__(self, use: Callable[[Any], Any]) -> Any:
        return self._run(use(self._client))


def _settled(value: Any) -> Any:
    return list(value) if isinstance(value, Iterator) else value


async def _awaited(value: Any) -> Any:
    if isinstance(value, AsyncIterator):
        return [item async for item in value]
    return await value


@contextmanager
def either_client(kind: str, url: str, token: str | None = "secret", **options: Any) -> Iterator[Either]:
    clock = HandClock()
    options.setdefault("timeout", GENEROUS_SECONDS)
    if kind == "blocking":
        with Client(url, token, monotonic=clock.monotonic, sleep=clock.sleep, **options) as client:
            yield Either(client, _settled, clock)
        return
    with asyncio.Runner() as runner:
        awaiting = AsyncClient(url, token, monotonic=clock.monotonic, sleep=clock.sleep_async, **options)
        try:
            yield Either(awaiting, lambda value: runner.run(_awaited(value)), clock)
        finally:
            runner.run(awaiting.close())


@contextmanager
def either_game_server(kind: str, access: GameServerAccess) -> Iterator[Either]:
    clock = HandClock()
    if kind == "blocking":
        with GameServer(access, monotonic=clock.monotonic, sleep=clock.sleep) as server:
            yield Either(server, _settled, clock)
        return
    with asyncio.Runner() as runner:
        awaiting = AsyncGameServer(access, monotonic=clock.monotonic, sleep=clock.sleep_async)
        try:
            yield Either(awaiting, lambda value: runner.run(_awaited(value)), clock)
        finally:
            runner.run(awaiting.close())


class Steady(random.Random):
    """Chance that adds nothing, so that pauses are as short as they may be."""

    def random(self) -> float:
        return 0.0


@contextmanager
def either_lobby_service(kind: str, url: str, **options: Any) -> Iterator[Either]:
    clock = HandClock()
    options = {"timeout": GENEROUS_SECONDS, "rng": Steady(), **options}
    if kind == "blocking":
        with LobbyService(url, monotonic=clock.monotonic, sleep=clock.sleep, **options) as service:
            yield Either(service, _settled, clock)
        return
    with asyncio.Runner() as runner:
        awaiting = AsyncLobbyService(url, monotonic=clock.monotonic, sleep=clock.sleep_async, **options)
        try:
            yield Either(awaiting, lambda value: runner.run(_awaited(value)), clock)
        finally:
            runner.run(awaiting.close())
