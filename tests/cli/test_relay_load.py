"""What `waymeet relay load` counts, on a relay that does exactly so much wrong; and what it refuses to do."""

import json
import random
import re
from array import array
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.cli.faulty_relay import Faults, FaultyRelay
from waymeet.cli.app import app
from waymeet.cli.relay.load.pacing import Pacer
from waymeet.cli.relay.load.plan import LoadPlan
from waymeet.cli.relay.load.tally import Tally, Track, percentiles

SENT = 60
"""By two clients together."""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["relay", "load", *arguments], env={"NO_COLOR": "1", "TERM": "dumb", "HOME": "/"})


def play(relay: FaultyRelay, *arguments: str) -> Result:
    """Two clients who send 30 datagrams each."""
    ports = ["--server-port", str(relay.server_port), "--client-port", str(relay.client_port)]
    tokens = ["--session-token", "5", "--host-token", "1", "--user-token", "2", "--user-token", "4294967295"]
    return run("127.0.0.1", *ports, *tokens, "--rate", "100", "--seconds", "0.3", *arguments)


def found(done: Result) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_relay_that_does_everything_right() -> None:
    with FaultyRelay() as relay:
        done = play(relay, "--json", "--size", "1187", "--max-loss", "0")
        assert done.exit_code == 0, done.output
        report = found(done)
        assert report["datagrams"] == {
            "sent": SENT, "reached_host": SENT, "received": SENT, "lost": 0, "lost_percent": 0.0, "duplicated": 0,
            "reordered": 0, "misdelivered": 0, "damaged": 0, "foreign": 0, "unsent": 0,
        }  # fmt: skip
        assert report["players"] == {"client valid": 2, "host valid": 1}
        assert report["failures"] == []
        assert (report["relay"], report["interrupted"]) == (None, False)
        trips = report["round_trip_ms"]
        assert 0 < trips["p50"] <= trips["p95"] <= trips["p99"] <= trips["max"]
        # Another test in the same session is not confused with this one.
        assert found(play(relay, "--json"))["datagrams"]["received"] == SENT


@pytest.mark.parametrize(
    ("faults", "counts", "failure"),
    [
        (
            Faults(dropped=frozenset({3, 5, 8})),
            {"received": SENT - 3, "lost": 3, "reached_host": SENT},
            r"5\.00 % were",
        ),
        (
            Faults(lost_on_the_way_to_the_host=frozenset({0, 1})),
            {"received": SENT - 2, "lost": 2, "reached_host": SENT - 2},
            r"3\.33 % were lost, which is above --max-loss 1",
        ),
        (Faults(doubled=frozenset({3, 4})), {"received": SENT, "lost": 0, "duplicated": 2}, None),
        (Faults(swapped=frozenset({9})), {"received": SENT - 1, "misdelivered": 1}, "1 datagrams were misdelivered"),
        (Faults(bent=frozenset({9, 11})), {"received": SENT - 2, "damaged": 2}, "2 datagrams were damaged"),
    ],
)
def test_every_fault_is_counted(faults: Faults, counts: dict[str, int], failure: str | None) -> None:
    with FaultyRelay(faults) as relay:
        done = play(relay, "--json")
    report = found(done)
    assert {name: report["datagrams"][name] for name in counts} == counts
    assert done.exit_code == (0 if failure is None else 1)
    assert (report["failures"] == []) if failure is None else re.search(failure, "\n".join(report["failures"]))


def test_what_comes_late_is_not_lost() -> None:
    # Held until one of another client or the next of the same has passed.
    with FaultyRelay(Faults(held=frozenset(range(2, 8)))) as relay:
        report = found(play(relay, "--json"))
    assert (report["datagrams"]["received"], report["datagrams"]["lost"]) == (SENT, 0)
    assert report["datagrams"]["reordered"] > 0


def test_players_who_are_not_let_in() -> None:
    with FaultyRelay(Faults(refused_tokens=frozenset({2}))) as relay:
        done = play(relay)
    assert done.exit_code == 1
    assert "1 of 3 hosts and clients were not let in" in done.stdout


def test_people_read_a_table() -> None:
    with FaultyRelay(Faults(doubled=frozenset({3}))) as relay:
        done = play(relay)
    assert re.search(r"^received +60; 60 had reached their hosts", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^odd +1 duplicated, 0 reordered", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^round trip +p50 [0-9.]+ ms, p95", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sessions", "1001"), "--sessions"),
        (("--sessions", "0"), "--sessions"),
        (("--clients", "101"), "--clients"),
        (("--rate", "0"), "--rate"),
        (("--rate", "4001"), "--rate"),
        (("--size", "31"), "--size"),
        (("--size", "1188"), "--size"),
        (("--seconds", "3601"), "--seconds"),
        (("--max-loss", "101"), "--max-loss"),
        (("--sessions", "1000", "--clients", "100"), "101000 hosts and clients are more than 20000; lower"),
        (("--sessions", "100", "--rate", "4000", "--seconds", "60"), "72000000 datagrams are more than 10000000"),
        (("127.0.0.1", "--server-port", "1", "--session-token", "1"), "takes --server-port, --client-port"),
        (("127.0.0.1", "--user-token", "0"), "--user-token"),
    ],
)
def test_what_it_refuses(arguments: tuple[str, ...], message: str) -> None:
    done = run("--token", "x", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_server_that_is_not_there() -> None:
    done = run("--token", "x", "--url", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "127.0.0.1:1" in done.stderr


def test_a_name_that_does_not_resolve() -> None:
    ports = ["--server-port", "1", "--client-port", "2"]
    done = run("x.invalid", *ports, "--session-token", "5", "--host-token", "1", "--user-token", "2")
    assert done.exit_code == 1
    assert "cannot be opened" in done.stderr


def test_what_came_is_judged_by_number() -> None:
    tally = Tally(sent=10)
    track = Track(tally, 10)
    for number in (0, 2, 1, 1, 3, 9, 4, 12):
        track.came(number, 0.001)
    assert (tally.received, tally.lost, tally.duplicated, tally.reordered, tally.damaged) == (6, 4, 1, 2, 1)
    assert tally.lost_percent == 40
    assert list(tally.trips) == [1.0] * 6


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles([]) is None
    assert percentiles([3.0]) == {"p50": 3.0, "p95": 3.0, "p99": 3.0, "max": 3.0}
    values = [float(number) for number in range(101)]
    random.Random(1).shuffle(values)
    assert percentiles(array("d", values)) == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def test_everybody_has_a_turn_in_every_interval() -> None:
    pacer = Pacer(4, 2.0, 100.0, rounds=2)
    turns = []
    while not pacer.is_over:
        at = pacer.due_at
        turns.append((at, *pacer.take()))
    assert turns == [(100 + number / 2, number % 4, number // 4) for number in range(8)]
    # At 0.1 a second for a moment each client still sends once.
    assert LoadPlan(rate=0.1, seconds=1).rounds == 1
