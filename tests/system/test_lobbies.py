"""Lobbies over real processes and real datagrams, as Mirror's transport uses them, and through crashes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.node.relay.conftest import require_native
from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.installation import TOKEN, Installation, node_table
from tests.system.mirror import EditorWindow, MirrorPlayer
from tests.system.processes import Role
from tests.system.relay_players import INVALID, VALID, RelayPlayer, meet

DEFAULTS = '[limits]\n[lobbies]\ndomain = ""\n'
"""The limits that an operator has who does not think of them."""


@pytest.fixture
def players() -> Iterator[ExitStack]:
    """Whoever enters is closed at the end."""
    with ExitStack() as entered:
        yield entered


def lobby(installation: Installation, name: str = "duel", url: str | None = None) -> str:
    with EditorWindow(url or installation.url, TOKEN) as window:
        return window.url_for(name)


@contextmanager
def events(url: str, room: Any) -> Iterator[Iterator[str]]:
    """The lines of a room's stream of events."""
    with (
        httpx.Client(trust_env=False, timeout=GENEROUS_SECONDS) as client,
        client.stream("GET", f"{url}/lobbies/{room['lobby_id']}/events") as response,
    ):
        assert response.status_code == 200
        yield response.iter_lines()


def relay_of(player: MirrorPlayer) -> RelayPlayer:
    assert player.relay is not None
    return player.relay


def test_mirrors_way_with_the_default_limits(tmp_path: Path, players: ExitStack) -> None:
    with Installation(tmp_path, settings=DEFAULTS) as installation:
        installation.up()
        url = lobby(installation)
        assert url == f"{installation.url}/l/duel"
        # Known already, it is there at once.
        assert lobby(installation) == url
        host = players.enter_context(MirrorPlayer(url))
        room = host.host()
        assert [player["id"] for player in room["players"]] == [host.player_id]
        # Everybody else comes later, all at once: from one address, as in a living room, each looking every 0.2 s.
        guests = [players.enter_context(MirrorPlayer(url)) for _ in range(3)]
        with ThreadPoolExecutor(len(guests)) as pool:

            def come(guest: MirrorPlayer) -> None:
                (entry,) = guest.find()
                guest.join(entry["lobby_id"])

            list(pool.map(come, guests))
        assert [entry["player_count"] for entry in host.find()] == [4]
        server = relay_of(host)
        connections = [meet(server, relay_of(guest)) for guest in guests]
        assert len(set(connections)) == 3
        # Only the host hosts, whatever port others try.
        leaving, staying = guests[0], guests[1]
        assert leaving.leave().is_success
        assert relay_of(leaving).state() == INVALID
        assert meet(server, relay_of(staying)) == connections[1]
        first, *others = [player["id"] for player in host.look()["players"]]
        assert (first, set(others)) == (host.player_id, {guest.player_id for guest in guests[1:]})
        assert host.stop_hosting().is_success
        assert relay_of(host).state() == INVALID
        assert relay_of(staying).state() == INVALID
        # What comes after the end, or never began: refusals in JSON, and no crash.
        stranger = players.enter_context(MirrorPlayer(url))
        for response, status in (
            (host.stop_hosting(), 404),
            (staying.leave(), 404),
            (leaving.leave(), 404),
            (stranger.leave(), 400),
            (stranger.stop_hosting(), 404),
        ):
            assert response.status_code == status, response.text
            assert response.json()["message"]
        assert host.find() == []


def test_what_mirrors_serializer_writes_for_unset_members(installation: Installation, players: ExitStack) -> None:
    installation.up()
    host = players.enter_context(MirrorPlayer(lobby(installation)))
    host.host(tags=["eu"])
    assert host.update({"capacity": 0, "is_joinable": False, "tags": []}).status_code == 400
    room = host.look()
    assert (room["capacity"], room["is_joinable"], room["tags"]) == (4, True, ["eu"])
    assert host.update({"capacity": 8, "is_joinable": True, "tags": []}).json()["capacity"] == 8


def test_a_lobby_comes_and_goes(installation: Installation, players: ExitStack) -> None:
    installation.up()
    window = players.enter_context(EditorWindow(installation.url, TOKEN))
    url = window.url_for("duel")
    host = players.enter_context(MirrorPlayer(url))
    host.host()
    assert relay_of(host).state() == VALID
    window.terminate("duel")
    eventually(lambda: host.stop_hosting().status_code == 404)
    relay_of(host).wait_for_state(INVALID)
    assert window.url_for("duel") == url
    assert host.find() == []


def test_rooms_outlive_the_control_plane(installation: Installation, players: ExitStack) -> None:
    installation.up()
    url = lobby(installation)
    host, guest, late = [players.enter_context(MirrorPlayer(url)) for _ in range(3)]
    waiting = players.enter_context(MirrorPlayer(url))
    room = host.host()
    guest.join(room["lobby_id"])
    connection = meet(relay_of(host), relay_of(guest))
    waiting_id = httpx.post(
        f"{url}/lobbies", json={"name": "x", "capacity": 2, "player": {"id": waiting.player_id}}, trust_env=False
    ).json()["lobby_id"]
    before = host.look()
    control = installation.only(Role.CONTROL_PLANE)
    assert control.kill()
    # Nobody serves now, and they play on.
    assert meet(relay_of(host), relay_of(guest)) == connection
    installation.only(Role.CONTROL_PLANE, other_than=control)
    installation.wait_until_ready()
    assert host.look() == before
    assert {entry["lobby_id"] for entry in host.find()} == {room["lobby_id"], waiting_id}
    late.join(room["lobby_id"])
    meet(relay_of(host), relay_of(late))
    assert guest.leave().is_success
    assert relay_of(guest).state() == INVALID
    waiting.lobby_id = waiting_id
    assert waiting.stop_hosting().is_success


class Replicas:
    """Two control planes on one PostgreSQL, a node at the first."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        port = installation.free_port()
        self.program = installation.serve()
        installation.serve(port)
        self.other_url = f"http://127.0.0.1:{port}"
        other = installation.connect(self.other_url)
        installation.node()
        eventually(lambda: installation.client.is_ready() and other.is_ready())


@pytest.fixture
def replicas(tmp_path: Path, fresh_postgres: str) -> Iterator[Replicas]:
    with Installation(tmp_path, nodes=[node_table("local")], database_url=fresh_postgres) as installation:
        yield Replicas(installation)


def test_replicas_serve_the_same_rooms(replicas: Replicas, players: ExitStack) -> None:
    url = lobby(replicas.installation)
    there = url.replace(replicas.installation.url, replicas.other_url)
    host, guest = players.enter_context(MirrorPlayer(there)), players.enter_context(MirrorPlayer(url))
    # Made and started at the one without the node.
    room = host.host()
    with events(there, room) as lines:
        guest.join(room["lobby_id"])
        # Who follows at one sees what was changed at the other.
        assert any(guest.player_id in line for line in lines)
        meet(relay_of(host), relay_of(guest))
        assert [entry["player_count"] for entry in guest.find()] == [entry["player_count"] for entry in host.find()]
        assert guest.leave().is_success
        assert relay_of(guest).state() == INVALID
        assert any(line.startswith("data:") and guest.player_id not in line for line in lines)
        assert guest.stop_hosting().is_success
        assert "event: closed" in list(lines)
    assert host.stop_hosting().status_code == 404


def test_who_joins_waits_for_a_node_whose_replica_is_killed(replicas: Replicas, players: ExitStack) -> None:
    url = lobby(replicas.installation)
    there = url.replace(replicas.installation.url, replicas.other_url)
    host, guest = players.enter_context(MirrorPlayer(url)), players.enter_context(MirrorPlayer(there))
    room = host.host()
    replicas.program.process.kill()
    replicas.program.wait()
    host.url = there
    with events(there, room) as lines, ThreadPoolExecutor(1) as pool:
        assert any(line.startswith("data:") for line in lines)
        joining = pool.submit(guest.join, room["lobby_id"])
        # Wherever the node connects to next, the answer is found.
        replicas.program = replicas.installation.serve()
        joining.result(timeout=GENEROUS_SECONDS)
        assert any(guest.player_id in line for line in lines)
    meet(relay_of(host), relay_of(guest))


def test_streams_do_not_hold_up_a_stop(installation: Installation) -> None:
    program = installation.up()
    url = lobby(installation)
    room = httpx.post(
        f"{url}/lobbies", json={"name": "x", "capacity": 2, "player": {"id": "x"}}, trust_env=False
    ).json()
    with events(url, room) as lines:
        assert any(line.startswith("data:") for line in lines)
        assert program.stop() == 0
        # To the proper end of the answer, which is not the room's.
        assert "event: closed" not in list(lines)
    assert "graceful shutdown exceeded" not in program.output


@pytest.mark.parametrize("engine", ["native", "python"])
def test_when_the_host_falls_silent_the_next_in_line_hosts(tmp_path: Path, players: ExitStack, engine: str) -> None:
    if engine == "native":
        require_native()
    # The shortest that a node allows.
    relay = f'relay = {{ owner_timeout_seconds = 10.5, engine = "{engine}" }}\n'
    with Installation(tmp_path, nodes=[node_table("local", more=relay)]) as installation:
        installation.up()
        url = lobby(installation)
        host, first, second = [players.enter_context(MirrorPlayer(url)) for _ in range(3)]
        room = host.host(host_migration=True)
        for guest in (first, second):
            guest.join(room["lobby_id"])
            meet(relay_of(host), relay_of(guest))
        with events(url, room) as lines:
            # The host's game has frozen; the others' go on.
            heard = next(line for line in lines if f'"{first.player_id}","is_host":true' in line)
        order = [first.player_id, second.player_id, host.player_id]
        assert [heard.index(player_id) for player_id in order] == sorted(heard.index(player_id) for player_id in order)
        relay_of(first).close()
        first.wait(server=True)
        meet(relay_of(first), relay_of(second))
        # It may come back, but not as the host.
        assert relay_of(host).state() == INVALID
