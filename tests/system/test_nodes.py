"""`waymeet node` by itself: leaves its servers, finds them again, stops them when told to; and being away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.polling import eventually
from tests.system.games import deployment_of, play, register, wait_for_status
from tests.system.installation import Installation, Program, node_table
from tests.system.players import address_of, is_answered
from tests.system.processes import Role
from waymeet.client import DeploymentStatus, SessionStatus


@pytest.fixture
def apart(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Installation, Program]]:
    """A control plane, and a node that is connected to it; the node may be away for an hour, or as many seconds as asked
    for.
    """
    settings = f"[deployments]\nnode_lost_seconds = {getattr(request, 'param', 3600)}"
    nodes = [node_table("montreal", "127.0.0.2")]
    with Installation(tmp_path, settings=settings, nodes=nodes) as installation:
        installation.serve()
        register(installation.client)
        node = installation.node()
        installation.wait_until_ready(node)
        yield installation, node


def test_servers_run_on_without_it_and_are_found_again(apart: tuple[Installation, Program]) -> None:
    installation, node = apart
    session = play(installation.client)
    server = installation.only(Role.GAME_SERVER)
    assert address_of(session)[0] == "127.0.0.2"
    assert node.stop() == 0
    assert is_answered(*address_of(session))
    installation.wait_until_ready(installation.node(arguments=["--stop-servers"]))
    assert installation.only(Role.GAME_SERVER) == server
    assert installation.client.sessions.get(session.session_id).status == SessionStatus.READY


def test_stops_its_servers_when_asked_to(apart: tuple[Installation, Program]) -> None:
    installation, node = apart
    session = play(installation.client)
    node.stop()
    eager = installation.node(arguments=["--stop-servers"])
    installation.wait_until_ready(eager)
    assert eager.stop() == 0
    assert not installation.processes(Role.KEEPER, Role.GAME_SERVER)
    # Its last words arrived; the control plane may still be at them. A session ends with its deployment.
    wait_for_status(installation.client, deployment_of(session), DeploymentStatus.TERMINATED)
    assert installation.client.sessions.get(session.session_id).status == SessionStatus.TERMINATED


@pytest.mark.parametrize("apart", [2], indirect=True)
def test_away_for_too_long(apart: tuple[Installation, Program]) -> None:
    installation, node = apart
    session = play(installation.client)
    node.process.kill()
    node.wait()
    deployment = wait_for_status(installation.client, deployment_of(session), DeploymentStatus.ERROR)
    assert deployment.error_detail == "node 'montreal' has been away for more than 2 s"
    assert installation.client.sessions.get(session.session_id).status == SessionStatus.TERMINATED
    assert is_answered(*address_of(session))
    # Back again, it ends what nobody wants any more, and plays on.
    installation.wait_until_ready(installation.node(arguments=["--stop-servers"]))
    eventually(lambda: not installation.processes(Role.KEEPER, Role.GAME_SERVER))
    assert is_answered(*address_of(play(installation.client)))


def test_what_was_stopped_meanwhile_ends_when_it_is_back(installation: Installation) -> None:
    installation.serve()
    register(installation.client)
    node = installation.node()
    installation.wait_until_ready(node)
    session = play(installation.client)
    node.process.kill()
    node.wait()
    installation.client.deployments.stop(deployment_of(session))
    assert is_answered(*address_of(session))
    installation.wait_until_ready(installation.node(arguments=["--stop-servers"]))
    wait_for_status(installation.client, deployment_of(session), DeploymentStatus.TERMINATED)
    eventually(lambda: not installation.processes(Role.KEEPER, Role.GAME_SERVER))


def test_unknown_token_is_refused_with_a_way_out(installation: Installation) -> None:
    installation.serve()
    stranger = installation.run("node", "--url", installation.url, "--token", "wrong")
    eventually(lambda: "its token is not accepted" in stranger.output)
    assert "make one with `waymeet token create" in stranger.output
    assert not installation.client.is_ready()
