"""A game studio: an organisation of its own on a server, its API key, its games, and its running servers."""

import asyncio
import itertools
import json
import random
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.polling import eventually
from tests.system.contract.api import Api
from tests.system.installation import Installation
from tests.system.players import RESEND_SECONDS
from waymeet.accounts.service import AccountService
from waymeet.clock import SystemClock
from waymeet.settings.types import SQLITE_FILE
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore

PLAYER = "203.0.113.7"
GAME = "test/game"
ECHO = "waymeet/echo"


class Server:
    """A running installation, and how to become its customer."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.url = installation.url
        self.secrets: set[str] = set()
        self._numbers = itertools.count(1)

    def token(self, organisation: str, scope: str = "api,relay") -> str:
        """A new API key, made on the database as `waymeet token create` does."""
        return asyncio.run(self._token(organisation, scope))

    async def _token(self, organisation: str, scope: str) -> str:
        clock = SystemClock()
        url, file = self.installation.database_url, self.installation.data / SQLITE_FILE
        store = PostgresStore(url, pool_size=2) if url else SqliteStore(file, clock, synchronous="normal")
        await store.open()
        try:
            accounts = AccountService(store, store.bells, clock, random.SystemRandom())
            owner = await accounts.ensure_organisation(organisation)
            return (await accounts.create_token(owner.id, "test", scope.split(","))).secret
        finally:
            await store.close()

    @contextmanager
    def studio(self, name: str = "studio") -> Iterator["Studio"]:
        """A new organisation; what it runs is stopped at the end, so that the nodes have room for the next."""
        organisation = f"{name}-{next(self._numbers)}"
        studio = Studio(self, organisation, Api(self.url, f"token {self.token(organisation)}", self.secrets))
        try:
            yield studio
        finally:
            studio.stop_everything()
            studio.api.close()

    @contextmanager
    def caller(self, authorization: str | None) -> Iterator[Api]:
        """A caller who sends this header, or none."""
        api = Api(self.url, authorization, self.secrets)
        try:
            yield api
        finally:
            api.close()


class Studio:
    """What a studio does all day. Every call is plain HTTP."""

    def __init__(self, server: Server, organisation: str, api: Api) -> None:
        self.server = server
        self.organisation = organisation
        self.api = api

    def game(self, **version: Any) -> str:
        """A new application with version `1.0`; its name. Members of the version as they go over the wire."""
        name = f"game-{uuid.uuid4().hex[:12]}"
        self.api.post("/v1/app", {"name": name, "is_active": True, "image": ""})
        self.version(name, **version)
        return name

    def version(self, app: str, name: str = "1.0", **version: Any) -> Any:
        """A new version of a game: one UDP port, ten seats, started on demand."""
        answer = self.api.post(f"/v1/app/{app}/version", new_version(name, **version))
        return answer["version"]

    def seat(self, app: str, *ips: str, **members: Any) -> str:
        """A new session for these players, or for one; its id."""
        body = {"app_name": app, "version_name": "1.0", "ip_list": ips or [PLAYER]} | members
        session_id: str = self.api.post("/v1/session", {name: value for name, value in body.items() if value != ()})[
            "session_id"
        ]
        return session_id

    def session(self, session_id: str) -> Any:
        return self.api.get(f"/v1/session/{session_id}")

    def play(self, app: str, *ips: str, **members: Any) -> Any:
        """A session that has become ready."""
        return self.wait_for_session(self.seat(app, *ips, **members), "Ready")

    def wait_for_session(self, session_id: str, status: str) -> Any:
        found: list[Any] = []

        def so() -> bool:
            found.append(self.session(session_id))
            return bool(found[-1]["status"] == status)

        try:
            eventually(so)
        except AssertionError:
            raise AssertionError(f"not {status}: {found[-1]}") from None
        return found[-1]

    def deploy(self, app: str, **members: Any) -> str:
        """A new deployment; its id."""
        body = {"app_name": app, "version_name": "1.0", "ip_list": [PLAYER]} | members
        request_id: str = self.api.post("/v1/deploy", body)["request_id"]
        return request_id

    def status(self, request_id: str) -> Any:
        return self.api.get(f"/v1/status/{request_id}")

    def run(self, app: str, **members: Any) -> Any:
        """A deployment that has become ready; its status."""
        return self.wait_for(self.deploy(app, **members), "READY")

    def wait_for(self, request_id: str, status: str) -> Any:
        found: list[Any] = []

        def so() -> bool:
            found.append(self.status(request_id))
            return bool(found[-1]["current_status"] == f"Status.{status}")

        try:
            eventually(so)
        except AssertionError:
            raise AssertionError(f"not {status}: {found[-1]}") from None
        return found[-1]

    def stop(self, request_id: str) -> None:
        """Stop it, and wait for the end."""
        self.api.call("DELETE", f"/v1/stop/{request_id}")
        self.wait_for(request_id, "TERMINATED")

    def running(self) -> list[Any]:
        """The deployments list, all of it."""
        listed: list[Any] = self.api.get("/v1/deployments", limit=100)["data"]
        return listed

    def relay(self, *ips: str, **members: Any) -> Any:
        """A relay session that has become ready, for these players or for two behind one address."""
        users = [{"ip": ip} for ip in ips or (PLAYER, PLAYER)]
        made = self.api.post("/v1/relays/sessions", {"users": users} | members)
        return self.wait_for_relay(made["session_id"], "READY")

    def wait_for_relay(self, session_id: str, status: str) -> Any:
        found: list[Any] = []

        def so() -> bool:
            found.append(self.api.get(f"/v1/relays/sessions/{session_id}"))
            return bool(found[-1]["status"] == status)

        try:
            eventually(so)
        except AssertionError:
            raise AssertionError(f"not {status}: {found[-1]}") from None
        return found[-1]

    def relays(self) -> list[Any]:
        """The relay session list, all of it."""
        listed: list[Any] = self.api.get("/v1/relays/sessions", limit=100)["sessions"]
        return listed

    def end_relay(self, session_id: str) -> None:
        """End a relay session. On a busy machine its relay may take longer to say so than the call waits."""
        answer = self.api.call("DELETE", f"/v1/relays/sessions/{session_id}")
        assert answer.status_code in (204, 503), answer.text

    def lobby(self, name: str) -> Any:
        """A lobby that is released; made when there is none of this name."""
        if self.api.call("GET", f"/v1/lobbies/{name}").status_code == 404:
            self.api.post("/v1/lobbies", {"name": name})
        self.api.post("/v1/lobbies:deploy", {"name": name}, 202)
        return self.wait_for_lobby(name, "Released")

    def wait_for_lobby(self, name: str, status: str) -> Any:
        def found() -> Any:
            lobby = self.api.get(f"/v1/lobbies/{name}")
            return lobby if lobby["status"] == status else None

        return eventually(found)

    def end_lobbies(self) -> None:
        """Terminate what is deployed, with all that is in it."""
        for lobby in self.api.get("/v1/lobbies"):
            if lobby["url"]:
                self.api.post("/v1/lobbies:terminate", {"name": lobby["name"]}, 202)
                self.wait_for_lobby(lobby["name"], "Terminated")

    def stop_everything(self) -> None:
        self.end_lobbies()
        for session in self.relays():
            self.end_relay(session["session_id"])
        if ids := [deployment["request_id"] for deployment in self.running()]:
            every = {"filters": [{"field": "request_id", "values": ids, "filter_type": "any"}]}
            self.api.post("/v1/deployments/bulk-stop", every)
            eventually(lambda: not self.running())


def new_version(name: str = "1.0", **members: Any) -> dict[str, Any]:
    """The body that creates a version; members that are `None` are left out."""
    body = {
        "name": name,
        "docker_repository": "registry.example.org",
        "docker_image": GAME,
        "docker_tag": "v7",
        "req_cpu": 128,
        "req_memory": 256,
        "ports": [{"port": 7777, "protocol": "UDP", "name": "game"}],
        "session_config": {"kind": "Seat", "sockets": 10, "autodeploy": True},
    }
    return {member: value for member, value in (body | members).items() if value is not None}


def without_sessions(**members: Any) -> dict[str, Any]:
    """Members of a version that has no sessions."""
    return {"session_config": None} | members


def seats(sockets: int, **members: Any) -> dict[str, Any]:
    """A `session_config` with so many seats, that starts servers on demand."""
    return {"kind": "Seat", "sockets": sockets, "autodeploy": True} | members


def ask(deployment: Any, payload: bytes = b"?", port: str = "game") -> Any:
    """What a game server says to a player: its `environment` and `arguments`."""
    return json.loads(talk(deployment, payload, port))


def talk(deployment: Any, payload: bytes, port: str = "game") -> bytes:
    """A game server's answer to a datagram. Datagrams may get lost, so it is asked again."""
    address = (deployment["public_ip"], deployment["ports"][port]["external"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
        player.settimeout(RESEND_SECONDS)
        player.connect(address)

        def answer() -> bytes:
            try:
                player.send(payload)
                return player.recv(65_536)
            except (TimeoutError, ConnectionRefusedError):
                return b""

        return eventually(answer)


def ids(entries: Sequence[Any], member: str = "request_id") -> list[str]:
    return [entry[member] for entry in entries]
