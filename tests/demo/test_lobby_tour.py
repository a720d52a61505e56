"""The lobby's part of the tour, as the server's answers have it."""

import asyncio
import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import cast

import pytest
from rich.console import Console

from tests.client.fake_server import Asked, FakeServer, Scripted, running_server
from tests.clocks import ManualClock
from waymeet.cli.echo_probe import NoEcho
from waymeet.cli.lobby_tour import LobbyTour, echo_through
from waymeet.cli.narration import Narration
from waymeet.client import Client, LobbyFailed, RelayAccess
from waymeet.clock import SystemClock
from waymeet.model.relays import RelayMember, RelaySpec
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.rules import RelayRules
from waymeet.node.sockets import bind_udp

ADDRESS = "127.0.0.1"
SESSION, AMARA, BEN = 3500589645, 21986334, 7
NAME = "demo-abc123"
PLAYERS = [{"id": "amara", "is_host": True}, {"id": "ben"}]
ROOM = {"lobby_id": "r1", "name": "Amara's match", "capacity": 4, "player_count": 2, "players": PLAYERS}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as fake:
        yield fake


@pytest.fixture
def relay() -> Iterator[PlainRelay]:
    members = (RelayMember(AMARA, "192.0.2.1"), RelayMember(BEN, "192.0.2.2"))
    with closing(
        PlainRelay("paris", bind_udp(ADDRESS, 0), bind_udp(ADDRESS, 0), RelayRules(), ManualClock(), 42)
    ) as it:
        it.replace([RelaySpec("game", SESSION, members)])
        yield it


def script(server: FakeServer, changes: Mapping[str, Scripted]) -> None:
    """All goes well, but for `changes`; a lobby is Terminated once somebody has terminated it."""

    def lobby(status: str) -> Scripted:
        url = f"{server.url}/l/{NAME}" if status == "Released" else ""
        return Scripted(200, {"name": NAME, "url": url, "status": status})

    answers = {
        "POST /v1/lobbies": lobby("Created"),
        "POST /v1/lobbies:deploy": lobby("Deploying"),
        "POST /v1/lobbies:terminate": lobby("Terminating"),
        f"GET /v1/lobbies/{NAME}": lobby("Released"),
        f"DELETE /v1/lobbies/{NAME}": lobby("Terminated"),
        f"POST /l/{NAME}/lobbies": Scripted(200, ROOM),
        f"POST /l/{NAME}/lobbies:join": Scripted(200, ROOM),
        **changes,
    }

    def decide(asked: Asked) -> Scripted:
        if any(one.path == "/v1/lobbies:terminate" for one in server.asked):
            answers[f"GET /v1/lobbies/{NAME}"] = lobby("Terminated")
        return answers.get(f"{asked.method} {asked.path}", Scripted(404, {"message": "no such thing"}))

    server.decide = decide


def walk(server: FakeServer) -> tuple[LobbyTour, str]:
    written = io.StringIO()
    with Client(server.url, "secret") as client:
        tour = LobbyTour(client, Narration(Console(file=written, width=500), 1), SystemClock(), NAME)
        try:
            tour.walk()
        finally:
            if tour.made:
                tour.clean_up()
    return tour, written.getvalue()


def test_two_players_meet_and_nothing_is_left(server: FakeServer, relay: PlainRelay) -> None:
    tokens = [{"id": "amara", "is_host": True, "authorization_token": AMARA}, {"id": "ben", "authorization_token": BEN}]
    ports = [{"name": "server", "port": relay.ports.server_port}, {"name": "client", "port": relay.ports.client_port}]
    assignment = {"authorization_token": SESSION, "ip": ADDRESS, "host": ADDRESS, "ports": ports}
    started = ROOM | {"is_started": True, "players": tokens, "assignment": assignment}
    script(
        server,
        {
            f"POST /l/{NAME}/lobbies:start": Scripted(202, ROOM | {"is_started": True}),
            f"GET /l/{NAME}/lobbies/r1": Scripted(200, started),
            f"DELETE /l/{NAME}/lobbies/r1": Scripted(204),
        },
    )
    _, text = walk(server)
    assert "ben joined: 2 of 4 players" in text
    assert "through the relay and heard it back after" in text
    assert [asked.path for asked in server.asked][-3:] == [
        "/v1/lobbies:terminate",
        f"/v1/lobbies/{NAME}",
        f"/v1/lobbies/{NAME}",
    ]
    # Players have no token.
    assert not [asked for asked in server.asked if asked.path.startswith("/l/") and "authorization" in asked.headers]


@pytest.mark.parametrize(
    ("call", "answer", "told", "made"),
    [
        ("POST /v1/lobbies", Scripted(404, {"message": "unknown path"}), "the server has no lobbies", False),
        (f"POST /l/{NAME}/lobbies", Scripted(403, {"message": "send the game's key"}), "send the game's key", True),
        (f"POST /l/{NAME}/lobbies:start", Scripted(503, {"message": "no relay", }, {"Retry-After": "99"}), "no relay", True),
    ],
    ids=["no lobbies", "a key of the game", "no relay"],
)  # fmt: skip
def test_what_the_server_does_not_offer_is_left_out(
    call: str, answer: Scripted, told: str, made: bool, server: FakeServer
) -> None:
    script(server, {call: answer})
    tour, text = walk(server)
    assert f"eft out: {told}" in text
    assert tour.made is made
    assert (server.last.method == "DELETE") is made


def test_a_lobby_that_does_not_come_up_is_taken_away(server: FakeServer) -> None:
    failed = {"name": NAME, "url": "", "status": "Error", "error": "something else answers there"}
    script(server, {f"GET /v1/lobbies/{NAME}": Scripted(200, failed)})
    with pytest.raises(LobbyFailed, match="something else answers there"):
        walk(server)
    assert server.last.method == "DELETE"


class Swallowing(asyncio.DatagramProtocol):
    """A relay that lets everybody in and forwards nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, datagram: bytes, source: tuple[str, int]) -> None:
        if datagram[8:9] == b"\1":
            self.transport.sendto(b"\1\2", source)


@pytest.mark.anyio
async def test_a_relay_that_swallows_everything_is_told_with_its_ports() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Swallowing, local_addr=(ADDRESS, 0))
    port = transport.get_extra_info("sockname")[1]
    access = RelayAccess(
        is_host=True, ip=ADDRESS, server_port=port, client_port=port, session_token=SESSION, user_token=AMARA
    )
    with closing(transport), pytest.raises(NoEcho, match=f"in 2 tries: is UDP open to its ports {port}"):
        await echo_through(access, access, "hello", SystemClock(), tries=2, timeout=0.05)
