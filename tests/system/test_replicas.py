"""Two control planes on one PostgreSQL, each with its own port; a node is connected to one of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.polling import eventually
from tests.system.games import deployment_of, play, register, running_deployments, seat, wait_for_output
from tests.system.installation import Installation, node_table
from tests.system.players import address_of, is_answered
from waymeet.client import Client

SOCKETS = 4


class Replicas:
    """Replica A on the installation's own port, replica B on another, a node at A."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.port_b = installation.free_port()
        self.program_a = installation.serve()
        self.program_b = installation.serve(self.port_b)
        self.a = installation.client
        self.b = installation.connect(f"http://127.0.0.1:{self.port_b}")
        self.node = installation.node(arguments=["--stop-servers"])
        eventually(lambda: self.a.is_ready() and self.b.is_ready())
        register(self.a, sockets=SOCKETS)


@pytest.fixture
def replicas(tmp_path: Path, fresh_postgres: str) -> Iterator[Replicas]:
    nodes = [node_table("local", capacity=30)]
    with Installation(tmp_path, nodes=nodes, database_url=fresh_postgres) as installation:
        yield Replicas(installation)


def test_sessions_made_at_either_reach_the_node(replicas: Replicas) -> None:
    session = play(replicas.b)
    assert is_answered(*address_of(session))
    request_id = deployment_of(session)
    # Questions travel to the replica that holds the node's socket, and the answers back.
    wait_for_output(replicas.b, request_id, "answering on UDP")
    assert eventually(lambda: replicas.b.deployments.metrics(request_id).mem.datasets)
    # A change made at one shows at the other.
    assert replicas.a.sessions.get(session.session_id).deployment == session.deployment
    replicas.b.deployments.stop(request_id)
    replicas.a.deployments.wait_until_stopped(request_id)
    eventually(lambda: not replicas.installation.game_servers())


def test_replica_with_the_node_is_killed(replicas: Replicas) -> None:
    before = play(replicas.b)
    replicas.program_a.process.kill()
    replicas.program_a.wait()
    # Written down at B while nobody holds the node's socket.
    waiting = [seat(replicas.b, users=SOCKETS) for _ in range(3)]
    assert is_answered(*address_of(before))
    replicas.program_a = replicas.installation.serve()
    for session_id in waiting:
        assert is_answered(*address_of(replicas.b.sessions.wait_until_ready(session_id)))
    assert deployment_of(before) in replicas.installation.game_servers()
    assert replicas.b.sessions.get(before.session_id).ready


def test_replica_without_a_node_is_killed(replicas: Replicas) -> None:
    replicas.program_b.process.kill()
    replicas.program_b.wait()
    assert is_answered(*address_of(play(replicas.a)))


def test_concurrent_sessions_at_both_start_no_server_for_nothing(replicas: Replicas) -> None:
    def seats(client: Client) -> list[str]:
        return [seat(client) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        made = pool.map(seats, [replicas.a, replicas.b, replicas.installation.connect(replicas.b.url), replicas.a])
        sessions = [session_id for some in made for session_id in some]
    for session_id in sessions:
        replicas.b.sessions.wait_until_ready(session_id)
    running = running_deployments(replicas.a)
    assert len(running) == len(sessions) // SOCKETS
    assert all(deployment.sockets_usage == SOCKETS for deployment in running)
    assert sum(len(deployment.sessions) for deployment in running) == len(sessions)
    assert set(replicas.installation.game_servers()) == {deployment.request_id for deployment in running}
