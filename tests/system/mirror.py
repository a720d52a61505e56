"""Mirror's lobby transport and its editor window, as they talk on the wire: what they send, in which order, how often."""

import itertools
import random
from types import SimpleNamespace, TracebackType
from typing import Any, Self, cast

import httpx

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.relay_players import RelayPlayer
from waymeet.client import RelaySession

WINDOW_SECONDS = 0.1
"""Between two looks of the editor window at the lobby that it deploys."""
WAITING_SECONDS = 0.2
"""Between two looks of a waiting player at its room."""

_numbers = itertools.count(1)


class EditorWindow:
    """What a developer clicks on to get a URL into the game."""

    def __init__(self, url: str, token: str) -> None:
        self._lobbies = f"{url}/v1/lobbies"
        self._http = httpx.Client(
            # As it comes from the dashboard, with or without the word.
            headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
            timeout=GENEROUS_SECONDS,
            trust_env=False,
        )

    def url_for(self, name: str) -> str:
        """The URL of this lobby, which is made and deployed when it has to be."""
        found = self._http.get(f"{self._lobbies}/{name}")
        if found.status_code == 404:
            _good(self._http.post(self._lobbies, json={"name": name}))
            _good(self._http.post(f"{self._lobbies}:deploy", json={"name": name}))
        elif not _good(found)["url"]:
            _good(self._http.post(f"{self._lobbies}:deploy", json={"name": name}))

        def ready() -> str:
            return str(_good(self._http.get(f"{self._lobbies}/{name}"))["url"])

        url = eventually(ready, every=WINDOW_SECONDS)
        assert not url.endswith("/")
        return url

    def terminate(self, name: str) -> None:
        _good(self._http.post(f"{self._lobbies}:terminate", json={"name": name}))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class MirrorPlayer:
    """One player's transport: as host of a room, or as a client in one."""

    def __init__(self, url: str, source: str | None = None) -> None:
        self.url = url
        self.player_id = f"mirror-player-{random.Random(next(_numbers)).randint(0, 2**31)}"
        self.lobby_id = ""
        self.room: Any = None
        self.relay: RelayPlayer | None = None
        headers = {"Accept": "application/json"}
        if source is not None:
            headers["X-Forwarded-For"] = source
        self._http = httpx.Client(headers=headers, timeout=GENEROUS_SECONDS, trust_env=False)

    def host(self, **members: Any) -> Any:
        """Create and start in one go, then wait until the relay is there."""
        body = {
            "annotations": [],
            "capacity": 4,
            "is_joinable": True,
            "name": "Friday night",
            "player": {"id": self.player_id},
            "tags": [],
        }
        self.lobby_id = _good(self._send("POST", "/lobbies", body | members))["lobby_id"]
        _good(self._send("POST", "/lobbies:start", {"lobby_id": self.lobby_id}))
        return self.wait(server=True)

    def join(self, lobby_id: str) -> Any:
        """Join, then wait for a place at the relay."""
        self.lobby_id = lobby_id
        _good(self._send("POST", "/lobbies:join", {"lobby_id": lobby_id, "player": {"id": self.player_id}}))
        return self.wait(server=False)

    def wait(self, *, server: bool) -> Any:
        """Look every 0.2 s until the assignment has an IP address, and then use the own token at once."""
        self.room = eventually(self._assigned, every=WAITING_SECONDS)
        # What is null in JSON is 0 in Unity, and the relay refuses that.
        token = self.own["authorization_token"] or 0
        assert self.own["is_host"] is server
        self.relay = RelayPlayer(relay_session_of(self.room), token, server=server)
        return self.room

    @property
    def own(self) -> Any:
        (own,) = [player for player in self.room["players"] if player["id"] == self.player_id]
        return own

    def look(self) -> Any:
        return _good(self._send("GET", f"/lobbies/{self.lobby_id}"))

    def find(self) -> list[Any]:
        """The list that a player chooses from: Mirror hides what cannot be joined."""
        listed = _good(self._send("GET", "/lobbies"))
        assert listed["count"] == len(listed["data"])
        return [entry for entry in listed["data"] if entry["is_joinable"]]

    def leave(self) -> httpx.Response:
        """On every disconnect, also when there is no room any more, or never was one."""
        player = {"id": self.player_id if self.lobby_id else ""}
        return self._send("POST", "/lobbies:leave", {"lobby_id": self.lobby_id, "player": player})

    def stop_hosting(self) -> httpx.Response:
        """On stop; the id may be empty."""
        return self._send("DELETE", f"/lobbies/{self.lobby_id}", {})

    def update(self, body: Any) -> httpx.Response:
        return self._send("PATCH", f"/lobbies/{self.lobby_id}", body)

    def close(self) -> None:
        self._http.close()
        if self.relay is not None:
            self.relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _assigned(self) -> Any:
        room = self.look()
        return room if room["assignment"] and room["assignment"]["ip"] else None

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        # By plain concatenation.
        if body is None:
            return self._http.request(method, self.url + path)
        return self._http.request(method, self.url + path, json=body)


def relay_session_of(room: Any) -> RelaySession:
    """As much of a relay session as players see of it in their room."""
    assignment = room["assignment"]
    ports = {port["name"]: SimpleNamespace(port=port["port"]) for port in assignment["ports"]}
    assert {port["protocol"] for port in assignment["ports"]} == {"UDP"}
    relay = SimpleNamespace(ip=assignment["ip"], ports=SimpleNamespace(**ports))
    return cast(RelaySession, SimpleNamespace(relay=relay, authorization_token=assignment["authorization_token"]))


def _good(response: httpx.Response) -> Any:
    """The body of a success; Mirror shows the text of anything else to the player."""
    assert response.is_success, f"{response.request.method} {response.request.url}: {response.text}"
    return response.json() if response.content else None
