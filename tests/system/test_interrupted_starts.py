"""`kill -9` of a node between any two steps of a start: each server is started, and none twice."""

import random
import time

from tests.polling import eventually
from tests.system.games import deployment_of, register, seat, wait_for_output
from tests.system.installation import Installation, node_table
from tests.system.watching import Background, Census
from waymeet.client import DeploymentStatus

ROUNDS = 8
SESSIONS_PER_ROUND = 3
LONGEST_MOMENT_SECONDS = 0.3
"""A start takes about this long, from the session's creation to its readiness."""


def test_every_server_starts_exactly_once(installation: Installation) -> None:
    rng = random.Random(20250701)
    installation.configure(nodes=[node_table("local", capacity=ROUNDS * SESSIONS_PER_ROUND)])
    installation.serve()
    client = installation.client
    register(client, sockets=1)
    sessions = []
    census = Census(installation)
    node = installation.node()
    with Background(census.take):
        for _ in range(ROUNDS):
            # Not `/readyz`: for a moment it may still speak of the node that was killed.
            eventually(lambda: "connected to" in node.output)  # noqa: B023 - called at once
            sessions += [seat(client) for _ in range(SESSIONS_PER_ROUND)]
            # Not to wait for something: the moment of death is what the test is about.
            time.sleep(rng.uniform(0, LONGEST_MOMENT_SECONDS))
            node.process.kill()
            node.process.wait()
            node = installation.node()
        found = [client.sessions.wait_until_ready(session_id) for session_id in sessions]
    # Once more after all of them have become ready: each is seen at least once.
    census.take()
    deployments = {deployment_of(session) for session in found}
    assert len(deployments) == len(sessions)
    assert set(installation.game_servers()) == deployments
    for request_id in deployments:
        assert len(census.seen[request_id]) == 1
        deployment = client.deployments.get(request_id)
        assert deployment.status == DeploymentStatus.READY
        assert deployment.sockets_usage == 1
        assert wait_for_output(client, request_id, "answering on UDP").count("answering on UDP") == 1
    # It was started without --stop-servers: its end says nothing about the servers'.
    node.stop()
    assert set(installation.game_servers()) == deployments
    installation.wait_until_ready(installation.node(arguments=["--stop-servers"]))
