"""`waymeet beacons` against real beacons and a server that lists them."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tests.client.fake_server import FakeServer, Scripted, running_server
from tests.polling import GENEROUS_SECONDS
from waymeet.cli import beacons as command
from waymeet.cli.app import app
from waymeet.client import Client, PingTransport
from waymeet.node.beacon import Beacon, WantedPorts, open_beacon

PATIENT = ["--timeout", "60"]
IMPATIENT = ["--timeout", "0.05"]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def beacon(tmp_path: Path) -> Iterator[Beacon]:
    opened = open_beacon(
        "paris", "127.0.0.1", WantedPorts(), directory=tmp_path, avoid=range(0), monotonic=time.monotonic,
        rng=random.Random(),
    )  # fmt: skip
    with closing(opened):
        yield opened


def entry(city: str, udp_port: int, tcp_port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    place = {"city": city, "country": "France", "continent": "Europe", "administrative_division": "Paris"}
    return {
        "host": host, "fqdn": "", "udp_port": udp_port, "tcp_port": tcp_port,
        "location": place | {"timezone": "Local Time", "latitude": 1.0, "longitude": 2.0},
    }  # fmt: skip


def listing(*entries: dict[str, Any]) -> Scripted:
    return Scripted(200, {"locations": list(entries), "count": len(entries)})


def run(server: FakeServer, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, ["beacons", *arguments, "--url", server.url, "--token", "secret"], env={"NO_COLOR": "1", "TERM": "dumb"}
    )


class TestPing:
    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    def test_measures_all_and_shows_the_silent_last(self, server: FakeServer, beacon: Beacon, transport: str) -> None:
        here = beacon.ports
        # A port that it does not offer is not asked.
        server.script(listing(entry("Lyon", 0, 0), entry("Paris", here.udp_port, here.tcp_port)))
        flags = ["--tcp"] if transport == "tcp" else []
        done = run(server, "ping", "--count", "3", "--json", *PATIENT, *flags)
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert found["transport"] == transport
        paris, lyon = found["beacons"]
        assert (paris["city"], paris["host"], paris["asked"], paris["lost"]) == ("Paris", "127.0.0.1", 3, 0)
        assert 0 < paris["best_ms"] <= paris["mean_ms"]
        assert paris["jitter_ms"] >= 0
        assert (lyon["city"], lyon["asked"], lyon["mean_ms"], lyon["jitter_ms"]) == ("Lyon", 0, None, None)

    def test_shows_a_table(self, server: FakeServer, beacon: Beacon) -> None:
        server.script(listing(entry("Paris", beacon.ports.udp_port, 1)))
        done = run(server, "ping", "--count", "2", *PATIENT)
        assert done.exit_code == 0, done.output
        heading, line = done.stdout.strip().splitlines()
        assert heading.split() == ["city", "country", "address", "mean", "ms", "best", "ms", "jitter", "ms", "lost"]
        assert line.split()[:3] == ["Paris", "France", "127.0.0.1"]
        assert line.split()[-1] == "0/2"
        assert "\x1b" not in done.stdout

    def test_where_none_answers_that_is_a_failure(self, server: FakeServer, beacon: Beacon) -> None:
        beacon.close()
        server.script(listing(entry("Paris", beacon.ports.udp_port, beacon.ports.tcp_port)))
        for flags in ([], ["--tcp"], ["--json"]):
            done = run(server, "ping", "--count", "1", *IMPATIENT, *flags)
            assert done.exit_code == 1
            assert "from here: do firewalls let it through?" in done.stderr
            assert "Paris" in done.stdout

    def test_reports_what_was_measured(self, server: FakeServer, beacon: Beacon) -> None:
        paris, lyon = entry("Paris", beacon.ports.udp_port, 1), entry("Lyon", 0, 0)
        server.decide = lambda asked: (
            listing(paris, lyon) if asked.method == "GET" else Scripted(200, {"ip": "203.0.113.7", "recorded": 1})
        )
        done = run(server, "ping", "--report", "--count", "1", "--json", *PATIENT)
        assert done.exit_code == 0, done.output
        assert "1 reported as measured by 203.0.113.7" in done.stderr
        (measured, _) = json.loads(done.stdout)["beacons"]
        assert (server.last.method, server.last.path) == ("POST", "/v1/latencies")
        assert server.last.body["latencies"] == {"Paris": pytest.approx(measured["mean_ms"], abs=0.001)}

    def test_is_live_on_a_terminal(self, server: FakeServer, beacon: Beacon, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Console(force_terminal=True, width=100, record=True)
        monkeypatch.setattr(command, "_console", lambda: terminal)
        server.script(listing(entry("Paris", beacon.ports.udp_port, 1)))
        with Client(server.url, "secret") as client:
            code = command.measure(
                client, count=2, timeout=GENEROUS_SECONDS, transport=PingTransport.UDP, as_json=False, report=False
            )
        assert code == 0
        # Each answer was shown as it came, and the result stays.
        shown = terminal.export_text()
        assert "0/1" in shown
        assert shown.rstrip().endswith("0/2")

    @pytest.mark.parametrize("flags", [["--count", "0"], ["--count", "41"], ["--timeout", "0"], ["--count", "x"]])
    def test_flags_out_of_their_limits(self, server: FakeServer, flags: list[str]) -> None:
        assert run(server, "ping", *flags).exit_code == 2


class TestList:
    def test_shows_the_list(self, server: FakeServer) -> None:
        server.script(listing(entry("Paris", 32167, 32561, "192.0.2.1"), entry("Lyon", 1, 2, "192.0.2.2")))
        done = run(server, "list")
        assert done.exit_code == 0
        lines = [line.split() for line in done.stdout.strip().splitlines()]
        assert lines == [
            ["city", "country", "address", "udp", "tcp"],
            ["Paris", "France", "192.0.2.1", "32167", "32561"],
            ["Lyon", "France", "192.0.2.2", "1", "2"],
        ]
        shown = json.loads(run(server, "list", "--json").stdout)
        assert [one["city"] for one in shown["beacons"]] == ["Paris", "Lyon"]
        assert shown["beacons"][0] == {
            "city": "Paris", "country": "France", "host": "192.0.2.1", "fqdn": "", "udp_port": 32167, "tcp_port": 32561,
        }  # fmt: skip


@pytest.mark.parametrize("name", ["list", "ping"])
class TestBoth:
    def test_without_any_beacon(self, server: FakeServer, name: str) -> None:
        server.script(listing())
        done = run(server, name)
        assert done.exit_code == 1
        assert "no beacon is listed: run a node with the role `beacon`" in done.stderr

    def test_without_a_server(self, server: FakeServer, name: str) -> None:
        server.script(Scripted(401, {"message": "the token is unknown"}))
        done = run(server, name)
        assert done.exit_code == 1
        assert "answered 401: the token is unknown" in done.stderr

    def test_without_a_token(self, name: str, tmp_path: Path) -> None:
        done = CliRunner().invoke(app, ["beacons", name, "--data", str(tmp_path)], env={"WAYMEET_TOKEN": ""})
        assert done.exit_code == 2
        assert "no token" in done.stderr
