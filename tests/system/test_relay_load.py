"""`waymeet relay load` against a whole installation: what it makes it deletes, however it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.installation import TOKEN, Installation, node_table

SESSIONS, CLIENTS, EACH = 4, 3, 20
MANY = 60


def start(installation: Installation, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "waymeet.cli", "relay", "load", "--json", "--token", TOKEN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"HOME": str(installation.directory), "NO_COLOR": "1", "WAYMEET_URL": installation.url},
        # Our own Ctrl-C is not its.
        process_group=0,
    )


def ended(program: "subprocess.Popen[str]") -> tuple[int, dict[str, Any]]:
    """Exit code and report."""
    output, errors = program.communicate(timeout=GENEROUS_SECONDS)
    assert output, errors
    report: dict[str, Any] = json.loads(output)
    return program.returncode, report


def run(installation: Installation, *arguments: str) -> tuple[int, dict[str, Any]]:
    # How much a busy machine loses is not what this is about.
    return ended(start(installation, "--max-loss", "99", *arguments))


def sessions_of(installation: Installation) -> int:
    return installation.client.relays.page().total_count


def test_sessions_are_made_played_in_and_deleted(installation: Installation) -> None:
    installation.up()
    plan = ("--sessions", str(SESSIONS), "--clients", str(CLIENTS), "--rate", str(EACH), "--seconds", "1")
    code, report = run(installation, *plan, "--size", "1187")
    assert (code, report["failures"]) == (0, [])
    assert (report["sessions"]["wanted"], report["sessions"]["ready"]) == (SESSIONS, SESSIONS)
    assert report["sessions"]["ready_ms"]["p50"] > 0
    assert report["players"] == {"client valid": SESSIONS * CLIENTS, "host valid": SESSIONS}
    datagrams = report["datagrams"]
    assert datagrams["sent"] + datagrams["unsent"] >= SESSIONS * CLIENTS * EACH
    assert datagrams["received"] + datagrams["lost"] == datagrams["sent"]
    assert {datagrams[name] for name in ("duplicated", "misdelivered", "damaged", "foreign")} == {0}
    # What the relay saw beside that are pings.
    assert report["relay"]["received_packets"] >= 2 * datagrams["received"]
    assert report["relay"]["drops"].keys() <= {"send_buffer_full"}
    assert sessions_of(installation) == 0
    code, report = run(installation, *plan, "--location", "Nowhere")
    assert code == 1
    assert any("no relay passes the filters" in failure for failure in report["failures"])


def test_a_session_that_exists_is_left_as_it_is(installation: Installation) -> None:
    installation.up()
    relays = installation.client.relays
    session = relays.wait_until_ready(relays.create(["203.0.113.7"] * 3).session_id)
    assert session.relay is not None
    host, *others = (user.authorization_token for user in session.session_users)
    ports = session.relay.ports
    arguments = ["--server-port", ports.server.port, "--client-port", ports.client.port]
    arguments += ["--session-token", session.authorization_token, "--host-token", host]
    users = [argument for token in others for argument in ("--user-token", token)]
    code, report = run(installation, session.relay.ip, *map(str, [*arguments, *users]), "--seconds", "1")
    assert (code, report["sessions"]["ready"]) == (0, 1)
    assert report["players"] == {"client valid": 2, "host valid": 1}
    assert relays.get(session.session_id) == session
    code, report = run(installation, session.relay.ip, *map(str, arguments), "--user-token", "1", "--seconds", "1")
    assert code == 1
    assert report["failures"][0] == "1 of 2 hosts and clients were not let in"


def test_sessions_for_which_there_is_no_room(tmp_path: Path) -> None:
    nodes = [node_table("local", more="relay = { capacity = 2 }")]
    with Installation(tmp_path, nodes=nodes) as installation:
        installation.up()
        code, report = run(installation, "--sessions", "5", "--clients", "1", "--seconds", "1")
        assert code == 1
        assert (report["sessions"]["ready"], report["players"]) == (2, {"client valid": 2, "host valid": 2})
        assert "3 of 5 sessions could not be played in" in report["failures"]
        assert any("relay" in failure and "full" in failure for failure in report["failures"]), report
        assert sessions_of(installation) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seen", [1, MANY])
def test_what_it_made_is_deleted_when_it_is_interrupted(
    installation: Installation, number: signal.Signals, seen: int
) -> None:
    installation.up()
    program = start(installation, "--sessions", str(MANY), "--clients", "1", "--rate", "1", "--seconds", "1000")
    try:
        # While sessions are still being made, or when all are there.
        eventually(lambda: sessions_of(installation) >= seen)
        program.send_signal(number)
        code, report = ended(program)
    finally:
        program.kill()
        program.wait()
    assert (code, report["interrupted"]) == (130, True)
    assert report["datagrams"]["sent"] < MANY * 1000
    assert sessions_of(installation) == 0
