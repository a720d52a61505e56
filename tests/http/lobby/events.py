"""Reading a lobby service's event streams, as `EventSource` does in browsers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.http.lobby.served import LobbyServer

HEARTBEAT = "heartbeat"
RETRY = "retry"
END = "end"
"""The answer has come to its end, as opposed to a connection that broke."""


@dataclass(frozen=True)
class Event:
    kind: str
    """`lobby` and `closed` as they were sent; or one of the above."""
    id: int | None = None
    body: Any = None


class Events:
    """One open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._blocks = self._read()

    async def next(self) -> Event:
        """Whatever comes next."""
        return await anext(self._blocks, Event(END))

    async def lobby(self) -> Event:
        """The next state of the room, past heartbeats."""
        while (event := await self.next()).kind in (HEARTBEAT, RETRY):
            pass
        assert event.kind == "lobby", event
        return event

    async def ends_with(self) -> list[str]:
        """What still comes until the end, heartbeats left out."""
        kinds = []
        while (event := await self.next()).kind != END:
            if event.kind != HEARTBEAT:
                kinds.append(event.kind)
        return kinds

    async def _read(self) -> AsyncIterator[Event]:
        block: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                assert name not in block
                block[name] = value.removeprefix(" ")
                continue
            yield _event(block)
            block = {}
        assert not block, "it ended within an event"


def _event(block: dict[str, str]) -> Event:
    if "" in block:
        return Event(HEARTBEAT)
    if "retry" in block:
        return Event(RETRY, body=int(block["retry"]))
    return Event(block["event"], int(block["id"]) if "id" in block else None, json.loads(block["data"]))


@asynccontextmanager
async def following(
    service: LobbyServer, room: Any, seen: int | str | None = None, source: str | None = None
) -> AsyncIterator[Events]:
    """Follow a room on a connection of its own."""
    headers = {b"accept": b"text/event-stream"}
    if seen is not None:
        headers[b"last-event-id"] = str(seen).encode("latin-1")
    if source is not None:
        headers[b"x-forwarded-for"] = source.encode()
    url = f"{service.url}/lobbies/{room['lobby_id']}/events"
    async with service.client.stream("GET", url, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield Events(response)
