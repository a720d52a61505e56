"""Real nodes, real packets, real distances: where the network and the map disagree, the network is right.

Round trips of 20 and 600 ms: no busy machine takes one for the other.
"""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.network.world import City, Crowd, World, world
from tests.polling import eventually
from waymeet.client import LocatedPlayer
from waymeet.settings.types import SQLITE_FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NEAR_MS, FAR_MS, NEVER_MS = 20.0, 600.0, 600_000.0
CROWDS = [
    Crowd("open", "10.7.0.0/16"),
    Crowd("closed", "10.6.0.0/16", answers_echo=False),
    Crowd("nobody", "10.5.0.0/16", is_there=False),
]


def city(name: str, latitude: float, longitude: float, round_trip_ms: float) -> City:
    return City(name, latitude, longitude, {crowd.name: round_trip_ms for crowd in CROWDS})


# All players say that they are in Paris; their packets say New York.
CITIES = [
    city("Paris", 48.86, 2.35, FAR_MS),
    city("New York", 40.71, -74.01, NEAR_MS),
    city("Sydney", -33.87, 151.21, NEVER_MS),
]


def player(ip: str) -> LocatedPlayer:
    return LocatedPlayer(ip=ip, latitude=48.86, longitude=2.35)


@pytest.fixture(scope="module")
def earth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("earth"), CITIES, CROWDS) as made:
        for name in ("Paris", "New York"):
            made.start(name)
        yield made


def place_of(earth: World, version: str, ip: str, *, by: str, **how: object) -> str:
    """The city in which the player's server is, once it was found to be chosen for a round trip that is known that way."""
    session, placement = earth.seat(version, player(ip), **how)
    assert session.deployment is not None
    assert session.deployment.location is not None
    assert placement.chosen is not None
    assert placement.chosen.location.city == session.deployment.location.city
    assert [cost.origin for cost in placement.chosen.costs] == [by], placement
    return session.deployment.location.city


def assert_measured(earth: World, ip: str) -> None:
    """What was measured is what the links take, and a busy machine's delay on top."""
    known = earth.latencies(ip)
    assert {name: origin for name, (origin, _) in known.items()} == {"Paris": "measured", "New York": "measured"}
    assert NEAR_MS - 1 <= known["New York"][1] < FAR_MS - 1 <= known["Paris"][1]


def test_what_was_measured_wins_over_the_map(earth: World) -> None:
    assert place_of(earth, "measured", "10.7.1.1", by="measured") == "New York"
    assert_measured(earth, "10.7.1.1")
    # And the next group of the same network goes by the same.
    assert place_of(earth, "measured-again", "10.7.1.200", by="measured") == "New York"


def test_without_telemetry_the_map_decides_and_nothing_is_measured(earth: World) -> None:
    assert place_of(earth, "map", "10.7.2.1", by="estimated", skip_telemetry=True) == "Paris"
    assert earth.latencies("10.7.2.1") == {}


def test_where_echo_requests_are_dropped_a_refused_connection_is_timed(earth: World) -> None:
    assert place_of(earth, "refused", "10.6.1.1", by="measured") == "New York"
    assert_measured(earth, "10.6.1.1")


def test_where_nothing_answers_what_players_report_counts(earth: World) -> None:
    assert place_of(earth, "silent", "10.5.1.1", by="estimated") == "Paris"
    assert earth.latencies("10.5.1.1") == {}
    report = {"Paris": FAR_MS, "New York": NEAR_MS}
    earth.call(lambda client: client.latencies.report(report, ip="10.5.2.1"))
    assert place_of(earth, "reported", "10.5.2.1", by="reported") == "New York"
    assert earth.latencies("10.5.2.1") == {"New York": ("reported", NEAR_MS), "Paris": ("reported", FAR_MS)}


def test_a_node_that_dies_while_it_probes_keeps_nobody_waiting(earth: World) -> None:
    dying = earth.start("Sydney")
    with ThreadPoolExecutor(1) as pool:
        seated = pool.submit(place_of, earth, "dying", "10.7.3.1", by="measured")
        # Its probe cannot end before its time budget: the player's answers take minutes to get there.
        eventually(lambda: is_asked(earth.server.data / SQLITE_FILE, "sydney") or seated.done())
        dying.kill_all()
        assert seated.result(timeout=120) == "New York"
    assert_measured(earth, "10.7.3.1")


def is_asked(database: Path, node: str) -> bool:
    """Whether the node has a question to answer."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        (count,) = connection.execute("SELECT COUNT(*) FROM node_question WHERE node_name = ?", (node,)).fetchone()
    finally:
        connection.close()
    return bool(count)
