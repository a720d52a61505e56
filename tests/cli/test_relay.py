"""`waymeet relay ping` against the relay in Python, and against what is none."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.clocks import ManualClock
from waymeet.cli.app import app
from waymeet.model.relays import RelayMember, RelaySpec
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.rules import RelayRules
from waymeet.node.sockets import bind_udp

ADDRESS = "127.0.0.1"
GAME = RelaySpec("game", 5, (RelayMember(1, "192.0.2.1"), RelayMember(2, "192.0.2.1")))
PATIENT = "60"
IMPATIENT = "0.02"


@pytest.fixture
def relay() -> Iterator[PlainRelay]:
    relay = PlainRelay("paris", bind_udp(ADDRESS, 0), bind_udp(ADDRESS, 0), RelayRules(), ManualClock(), 42)
    yield relay
    relay.close()


def run(
    relay: PlainRelay,
    *arguments: str,
    host: str = ADDRESS,
    session: int = 5,
    user: int = 1,
    client_port: int | None = None,
    timeout: str = PATIENT,
) -> Result:
    server, client = relay.ports.server_port, client_port or relay.ports.client_port
    flags = ["--server-port", server, "--client-port", client, "--session-token", session, "--user-token", user]
    return CliRunner().invoke(
        app,
        ["relay", "ping", host, *map(str, flags), "--timeout", timeout, *arguments],
        env={"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"},
    )


def steps(done: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
    return found


def outcome(done: Result) -> list[tuple[str, bool | None]]:
    return [(step["name"], step["well"]) for step in steps(done)]


@pytest.mark.parametrize("host_token", [[], ["--host-token", "2"]])
def test_all_is_well(relay: PlainRelay, host_token: list[str]) -> None:
    relay.replace([GAME])
    done = run(relay, "--json", *host_token)
    assert done.exit_code == 0, done.output
    names = ["name", "client port", "tokens", "server port", "echo", "MTU"]
    assert outcome(done) == [(name, True) for name in names]
    assert steps(done)[-1]["seen"] == "1187 bytes pass both ways"


def test_people_read_a_table(relay: PlainRelay) -> None:
    relay.replace([GAME])
    done = run(relay)
    assert re.search(r"✓ +echo +player to host and back, [0-9.]+ ms at best, 0 lost", done.stdout), done.stdout
    done = run(relay, session=6)
    assert re.search(r"✗ +tokens +the relay answers invalid *\n.*→ compare both tokens", done.stdout), done.stdout
    assert done.exit_code == 1


def test_a_name_that_does_not_resolve(relay: PlainRelay) -> None:
    done = run(relay, "--json", host="no.such.name.invalid")
    assert outcome(done) == [("name", False)]
    assert done.exit_code == 1


def test_a_closed_port(relay: PlainRelay) -> None:
    [closed] = bind_udp("127.0.0.1", 0)
    port = closed.getsockname()[1]
    closed.close()
    done = run(relay, "--json", client_port=port)
    assert outcome(done) == [("name", True), ("client port", False)]
    assert steps(done)[-1]["seen"] == f"UDP {port} is closed"


def test_a_silent_port(relay: PlainRelay) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((ADDRESS, 0))
        done = run(relay, "--json", client_port=silent.getsockname()[1], timeout=IMPATIENT)
    assert outcome(done) == [("name", True), ("client port", False)]
    assert "is silent" in steps(done)[-1]["seen"]


def test_a_relay_that_is_not_told_anything(relay: PlainRelay) -> None:
    # Nobody has told it anything yet.
    done = run(relay, "--json")
    assert outcome(done)[-1] == ("tokens", False)
    assert "not connected to its control plane" in steps(done)[-1]["remedy"]


def test_a_session_that_somebody_else_hosts(relay: PlainRelay) -> None:
    relay.replace([RelaySpec("game", 5, GAME.members, owner=2)])
    done = run(relay, "--json")
    assert outcome(done)[-3:] == [("tokens", True), ("server port", True), ("echo", None)]
    assert done.exit_code == 0


def test_a_host_that_left_is_no_fault_of_the_tokens(relay: PlainRelay) -> None:
    relay.replace([GAME])
    assert run(relay, "--host-token", "2").exit_code == 0
    relay.replace([RelaySpec("game", 5, GAME.members[:1])])
    done = run(relay, "--json")
    assert done.exit_code == 0, done.output


def test_a_relay_that_goes_away(relay: PlainRelay) -> None:
    relay.replace([GAME])
    relay.drain()
    done = run(relay, "--json")
    assert outcome(done)[-1] == ("tokens", False)
    assert "another relay" in steps(done)[-1]["remedy"]


@pytest.mark.parametrize("flags", [["--session-token", "0"], ["--user-token", "4294967296"], ["--server-port", "0"]])
def test_numbers_that_cannot_be(relay: PlainRelay, flags: list[str]) -> None:
    done = run(relay, *flags)
    assert done.exit_code == 2
    assert flags[0] in done.stderr
