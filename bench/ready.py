"""How long players wait for a new game server, and where the time goes.

    python bench/ready.py [--rounds 20]

Each round makes a session that needs a new server (the echo program, which itself starts in some 30 ms), and stops it
again. Medians in milliseconds since the moment before the POST:

- answered   the POST's answer is there
- told       the node has begun to start the server
- spawned    the server's program runs
- listening  its port accepts a connection
- seen       the node has found it ready
- ready      the session is Ready, for a caller who asks without pause
"""

import argparse
import json
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.system.games import deployment_of, play, register, seat
from tests.system.installation import Installation

STEPS = ("answered", "told", "spawned", "listening", "seen", "ready")
ASK_SECONDS = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, Installation(Path(directory)) as installation:
        installation.up()
        register(installation.client, sockets=1)
        # The first one warms the client's connection and everybody's caches.
        installation.client.deployments.stop(deployment_of(play(installation.client)))
        rounds = [measure(installation) for _ in range(options.rounds)]
    for step in STEPS:
        times = sorted(taken[step] * 1000 for taken in rounds)
        print(f"{step:10} {statistics.median(times):7.1f} ms   ({times[0]:.1f} to {times[-1]:.1f})")


def measure(installation: Installation) -> dict[str, float]:
    """Seconds from the beginning to each step. The node's own steps are read from what it keeps on the disk."""
    client = installation.client
    began = time.time()
    session_id = seat(client)
    taken = {"answered": time.time() - began}
    request_id = client.sessions.get(session_id).deployment_request_id or deployment_of(client.sessions.get(session_id))
    directory = installation.data / "nodes" / "local" / "servers" / request_id
    port = json.loads(wait_for(directory / "record"))["ports"][0]["external"]
    while not accepts(port):
        time.sleep(ASK_SECONDS)
    taken["listening"] = time.time() - began
    while not client.sessions.get(session_id).ready:
        time.sleep(ASK_SECONDS)
    taken["ready"] = time.time() - began
    state = dict(line.split(" ", 1) for line in wait_for(directory / "state").splitlines())
    taken["told"] = (directory / "lock").stat().st_mtime - began
    taken["spawned"] = int(state["spawned_at"]) / 1e6 - began
    taken["seen"] = int(wait_for(directory / "ready").split()[1]) / 1e6 - began
    client.deployments.stop(request_id)
    client.deployments.wait_until_stopped(request_id)
    return taken


def wait_for(file: Path) -> str:
    while not file.exists():
        time.sleep(ASK_SECONDS)
    return file.read_text()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
