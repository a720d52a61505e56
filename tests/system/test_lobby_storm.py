"""Sixty-four players who join, leave and start one room, all at once."""

import asyncio
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.polling import GENEROUS_SECONDS
from tests.system.installation import TOKEN, Installation
from tests.system.mirror import EditorWindow, relay_session_of
from tests.system.relay_players import INVALID, VALID, RelayPlayer

pytestmark = pytest.mark.anyio

PLAYERS, CAPACITY, ROUNDS = 64, 24, 5


class Crowd:
    """Everybody who wants into the room, and what each was told."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http
        self.lobby_id = ""
        self.tokens: dict[str, int] = {}
        """Of those who are in the room, where they were told."""
        self.former: set[int] = set()
        self.looks = 0
        self.full = 0

    async def call(self, path: str, body: Any) -> httpx.Response:
        response = await self._http.post(f"{self.url}{path}", json=body)
        assert response.status_code in (200, 202, 204, 404, 409), response.text
        return response

    async def open(self) -> None:
        body = {"name": "storm", "capacity": CAPACITY, "player": {"id": "host"}}
        self.lobby_id = (await self.call("/lobbies", body)).json()["lobby_id"]

    async def look(self) -> Any:
        room = (await self._http.get(f"{self.url}/lobbies/{self.lobby_id}")).json()
        self.looks += 1
        assert room["player_count"] == len(room["players"]) <= CAPACITY
        for player in room["players"]:
            assert (player["authorization_token"] is None) == (room["assignment"] is None)
        return room

    async def player(self, name: str, rng: random.Random) -> None:
        named = {"lobby_id": self.lobby_id, "player": {"id": name}}
        for _ in range(ROUNDS):
            if rng.random() < 0.3:
                await self.call("/lobbies:start", {"lobby_id": self.lobby_id})
            joined = await self.call("/lobbies:join", named)
            if joined.status_code == 409:
                self.full += 1
                continue
            self._remember(name, joined.json())
            self._remember(name, await self.look())
            if rng.random() < 0.7:
                assert (await self.call("/lobbies:leave", named)).status_code == 204
                if (token := self.tokens.pop(name, None)) is not None:
                    self.former.add(token)

    def _remember(self, name: str, room: Any) -> None:
        (own,) = [player for player in room["players"] if player["id"] == name]
        if own["authorization_token"] is not None:
            assert self.tokens.setdefault(name, own["authorization_token"]) == own["authorization_token"]


async def test_one_session_and_everybody_in_it_whoever_comes_and_goes(tmp_path: Path, database_url: str) -> None:
    with Installation(tmp_path, database_url=database_url) as installation:
        installation.up()
        with EditorWindow(installation.url, TOKEN) as window:
            url = window.url_for("storm")
        limits = httpx.Limits(max_connections=PLAYERS + 1)
        async with httpx.AsyncClient(limits=limits, timeout=GENEROUS_SECONDS, trust_env=False) as http:
            crowd = Crowd(url, http)
            await crowd.open()
            await asyncio.gather(
                *(crowd.player(f"player-{number}", random.Random(number)) for number in range(PLAYERS))
            )
            room = await crowd.look()
        assert crowd.full, "nobody was ever turned away: there was no storm"
        assert crowd.former
        assert room["assignment"] is not None
        (session,) = installation.client.relays.page().items
        assert session.authorization_token == room["assignment"]["authorization_token"]
        tokens = {player["id"]: player["authorization_token"] for player in room["players"]}
        assert sorted(tokens.values()) == sorted(user.authorization_token for user in session.session_users)
        assert crowd.tokens.items() <= tokens.items()
        assert not crowd.former & set(tokens.values())
        for player in room["players"]:
            check(room, player["authorization_token"], VALID, server=player["is_host"])
        for number, token in enumerate(sorted(crowd.former), start=2):
            # Each from an address of its own, since a relay tells one address only so often what it does not know.
            check(room, token, INVALID, source=f"127.0.{number // 250}.{number % 250}")


def check(room: Any, token: int, state: int, *, server: bool = False, source: str = "127.0.0.1") -> None:
    """What the relay says to whoever has this token."""
    with closing(RelayPlayer(relay_session_of(room), token, server=server, source=source)) as player:
        assert player.state() == state
