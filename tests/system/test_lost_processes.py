"""`kill -9` of one process after the other: what it takes with it, and what it must not."""

import pytest

from tests.polling import eventually
from tests.system.games import deployment_of, play, register, wait_for_output, wait_for_status
from tests.system.installation import Installation
from tests.system.players import address_of, is_answered
from tests.system.processes import Role
from waymeet.client import DeploymentStatus, SessionStatus


def test_servers_outlive_everything_above_them_and_are_found_again(installation: Installation) -> None:
    program = installation.up()
    register(installation.client)
    session = play(installation.client)
    server = installation.only(Role.GAME_SERVER)
    assert installation.only(Role.SUPERVISOR).kill()
    # Its children notice by themselves, and leave the game servers alone.
    eventually(lambda: not installation.processes(Role.CONTROL_PLANE, Role.NODES))
    assert installation.only(Role.GAME_SERVER) == server
    assert is_answered(*address_of(session))

    program.wait()
    following = installation.up()
    assert installation.only(Role.GAME_SERVER) == server
    found = installation.client.sessions.get(session.session_id)
    assert found.status == SessionStatus.READY
    assert installation.client.deployments.get(deployment_of(session)).status == DeploymentStatus.READY
    # It is cared for again, not only there: what it prints can be asked for.
    wait_for_output(installation.client, deployment_of(session), "answering on UDP")
    assert is_answered(*address_of(found))

    assert following.stop() == 0
    installation.assert_nothing_left()


def test_all_at_once(installation: Installation) -> None:
    program = installation.up()
    register(installation.client)
    session = play(installation.client)
    server = installation.only(Role.GAME_SERVER)
    for process in installation.processes(Role.SUPERVISOR, Role.CONTROL_PLANE, Role.NODES):
        process.kill()
    program.wait()
    assert is_answered(*address_of(session))
    installation.up()
    assert installation.only(Role.GAME_SERVER) == server
    assert installation.client.sessions.get(session.session_id).status == SessionStatus.READY


@pytest.mark.parametrize("policy", ["never", "always"])
def test_keeper(installation: Installation, policy: str) -> None:
    installation.up()
    register(installation.client, restart_policy=policy)
    session = play(installation.client)
    server = installation.only(Role.GAME_SERVER)
    assert installation.only(Role.KEEPER).kill()
    eventually(lambda: not server.is_alive())
    deployment = wait_for_status(installation.client, deployment_of(session), DeploymentStatus.ERROR)
    assert "keeper was killed" in (deployment.error_detail or "")
    assert eventually(lambda: has_ended(installation, session.session_id))
    assert not installation.processes(Role.KEEPER, Role.GAME_SERVER)


def test_game_server_that_is_not_restarted(installation: Installation) -> None:
    installation.up()
    register(installation.client)
    session = play(installation.client)
    wait_for_output(installation.client, deployment_of(session), "answering on UDP")
    assert installation.only(Role.GAME_SERVER).kill()
    deployment = wait_for_status(installation.client, deployment_of(session), DeploymentStatus.ERROR)
    logs = installation.client.deployments.container_logs(deployment.request_id)
    assert logs.crash_data is not None
    assert logs.crash_data.exit_code == 137
    assert logs.crash_data.restart_count == 0
    assert "answering on UDP" in (logs.crash_logs or "")
    assert has_ended(installation, session.session_id)
    eventually(lambda: not installation.processes(Role.KEEPER, Role.GAME_SERVER))


def test_game_server_that_is_restarted(installation: Installation) -> None:
    installation.up()
    register(installation.client, restart_policy="always")
    session = play(installation.client)
    server = installation.only(Role.GAME_SERVER)
    assert server.kill()
    installation.only(Role.GAME_SERVER, other_than=server)
    deployments = installation.client.deployments

    def restarted() -> bool:
        crash = deployments.container_logs(deployment_of(session)).crash_data
        return crash is not None and crash.restart_count == 1

    eventually(restarted)
    wait_for_status(installation.client, deployment_of(session), DeploymentStatus.READY)
    found = installation.client.sessions.wait_until_ready(session.session_id)
    assert is_answered(*address_of(found))


def has_ended(installation: Installation, session_id: str) -> bool:
    return installation.client.sessions.get(session_id).status == SessionStatus.TERMINATED
