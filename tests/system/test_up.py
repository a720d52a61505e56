"""`waymeet up` from the first start to the last process gone."""

import os
import signal
from pathlib import Path

import pytest

from tests.system.installation import Installation
from tests.system.players import address_of, is_answered
from tests.system.processes import Role
from waymeet.client import DeploymentStatus


def play(installation: Installation) -> str:
    """A session that is ready, on a server that answers; the deployment's id."""
    created = installation.client.sessions.create("echo", "1.0", ips=["203.0.113.7"])
    session = installation.client.sessions.wait_until_ready(created.session_id)
    assert is_answered(*address_of(session))
    assert session.deployment is not None
    return session.deployment.request_id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_from_ready_to_nothing_left(tmp_path: Path, database_url: str, number: signal.Signals) -> None:
    with Installation(tmp_path, database_url=database_url) as installation:
        program = installation.up()
        request_id = play(installation)
        assert list(installation.game_servers()) == [request_id]
        # To the whole group, as a terminal sends Ctrl-C.
        os.killpg(program.process.pid, number)
        assert program.wait() == 0
        installation.assert_nothing_left()


def test_second_one_on_the_same_directory_is_refused(installation: Installation) -> None:
    first = installation.up()
    second = installation.up(wait=False)
    assert second.wait() == 1
    assert f"already runs on {installation.data} (process {first.process.pid})" in second.output
    assert "name another directory with --data" in second.output
    play(installation)


def test_another_one_on_the_same_port_is_refused(installation: Installation, tmp_path: Path) -> None:
    installation.up()
    with Installation(tmp_path / "other") as other:
        other.port = installation.port
        second = other.up(wait=False)
        assert second.wait() == 1
        assert f"cannot listen on 127.0.0.1 port {other.port}" in second.output
        assert "choose another with --host and --port" in second.output
    play(installation)


def test_each_crashed_child_is_started_again(installation: Installation) -> None:
    program = installation.up()
    request_id = play(installation)
    server = installation.only(Role.GAME_SERVER)
    for role in (Role.CONTROL_PLANE, Role.NODES):
        killed = installation.only(role)
        assert killed.kill()
        installation.only(role, other_than=killed)
        installation.wait_until_ready(program)
        assert installation.only(Role.GAME_SERVER) == server
        assert installation.client.deployments.get(request_id).status == DeploymentStatus.READY
