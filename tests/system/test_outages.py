"""The database goes away and comes back, or its disk is full: 503, nothing half-written, then on without a restart."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import missing
from tests.polling import GENEROUS_SECONDS, eventually
from tests.restartable_postgres import RestartablePostgres
from tests.system.games import deployment_of, play, register, running_deployments, seat
from tests.system.installation import TOKEN, Installation, node_table
from tests.system.players import address_of, is_answered
from tests.system.processes import Role
from waymeet.client import Client, SessionStatus, Unavailable


def assert_unavailable(installation: Installation, method: str, path: str, body: object = None) -> None:
    """503 with a `Retry-After` in whole seconds, and a message."""
    with httpx.Client(base_url=installation.url, headers={"Authorization": f"token {TOKEN}"}) as http:
        answer = http.request(method, path, json=body, timeout=GENEROUS_SECONDS)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["message"]


NODE_LOST_SECONDS = 15
LOOKS_MISSED = 17
"""The deployments' loop looks once a second: the outage lasts longer than a node may be away."""


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_stops_and_starts_again(tmp_path: Path, restartable_postgres: RestartablePostgres, mode: str) -> None:
    # A node may be away for less than the outage lasts: it was not away, it could not be heard.
    settings = f"[deployments]\nnode_lost_seconds = {NODE_LOST_SECONDS}"
    with Installation(tmp_path, settings=settings, database_url=restartable_postgres.url) as installation:
        program = installation.up()
        client = installation.client
        register(client)
        before = play(client)
        control_plane = installation.only(Role.CONTROL_PLANE)
        restartable_postgres.stop(mode)
        assert_unavailable(installation, "GET", f"/v1/session/{before.session_id}")
        assert_unavailable(installation, "GET", "/v1/deployments")
        assert_unavailable(
            installation,
            "POST",
            "/v1/session",
            {"app_name": "arena", "version_name": "1.0", "ip_list": ["203.0.113.7"]},
        )
        readiness = httpx.get(f"{installation.url}/readyz", timeout=GENEROUS_SECONDS)
        assert readiness.status_code == 503
        assert readiness.json()["checks"]["store"] != "ok"
        assert client.is_alive()
        eventually(lambda: program.output.count("deadlines could not be checked") >= LOOKS_MISSED)
        assert is_answered(*address_of(before))
        restartable_postgres.start()
        eventually(client.is_ready)
        assert client.sessions.get(before.session_id).status == SessionStatus.READY
        # Everything works again: seating, the node's wanted state, and its reports.
        register(client, "2.0")
        assert is_answered(*address_of(play(client, "2.0")))
        client.deployments.stop(deployment_of(before))
        client.deployments.wait_until_stopped(deployment_of(before))
        assert installation.only(Role.CONTROL_PLANE) == control_plane


def test_postgres_is_not_there_yet_at_the_start(tmp_path: Path, restartable_postgres: RestartablePostgres) -> None:
    restartable_postgres.stop("fast")
    with Installation(tmp_path, database_url=restartable_postgres.url) as installation:
        program = installation.up(wait=False)
        eventually(lambda: "database" in program.output)
        restartable_postgres.start()
        installation.wait_until_ready(program)
        register(installation.client)
        play(installation.client)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 8 MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mount], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        missing("mount", f"a small file system cannot be mounted here: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def seat_until_refused(client: Client) -> list[str]:
    """Make sessions until the disk takes no more; those that were acknowledged."""
    made = list(iter(lambda: seat_if_possible(client), ""))
    with pytest.raises(Unavailable) as refusal:
        seat(client, users=20)
    assert refusal.value.retry_after
    return made


def test_full_disk(small_disk: Path) -> None:
    with Installation(small_disk, nodes=[node_table("local", capacity=1)]) as installation:
        installation.up()
        client = installation.client
        register(client, sockets=100_000)
        before = play(client)
        ballast = small_disk / "ballast"
        fill(ballast)
        made = seat_until_refused(client)
        # Reading goes on, and so does the game.
        assert client.sessions.get(before.session_id).ready
        assert is_answered(*address_of(before))
        (running,) = running_deployments(client)
        assert running.sockets_usage == 1 + 20 * len(made)
        ballast.unlink()
        made.append(eventually(lambda: seat_if_possible(client)))
        for session_id in made:
            assert client.sessions.get(session_id).ready
        (running,) = running_deployments(client)
        assert running.sockets_usage == 1 + 20 * len(made)


def seat_if_possible(client: Client) -> str:
    try:
        return seat(client, users=20)
    except Unavailable:
        return ""
