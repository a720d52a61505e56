"""Groups that wait for a seat near by, step by step, before they are sent far away (`sessions.latency_steps`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.games import GAME, register
from tests.system.installation import Installation, node_table
from waymeet.client import Client, LocatedPlayer, Placement, Session, SessionStatus

PARISIAN = LocatedPlayer(ip="203.0.113.7", latitude=48.8, longitude=2.3)
PARIS = """
    location = { city = "Paris", country = "France", continent = "Europe",
        administrative_division = "Paris", timezone = "Central European Time", latitude = 48.86, longitude = 2.35 }
    """
MONTREAL = """
    location = { city = "Montreal", country = "Canada", continent = "North America",
        administrative_division = "Quebec", timezone = "Eastern Time", latitude = 45.5, longitude = -73.56 }
    """


@contextmanager
def full_in_paris(directory: Path, *, step_seconds: int) -> Iterator[tuple[Client, str]]:
    """One server with one seat is all that Paris has room for, and the session with this id sits on it.

    Montreal has room. It costs Parisians some 95 ms, and for so many seconds no more than 40 ms are allowed.
    """
    nodes = [
        node_table("paris", "127.0.0.2", capacity=1, more=PARIS),
        node_table("montreal", "127.0.0.3", more=MONTREAL),
    ]
    steps = f"[sessions]\nlatency_steps = [{{ max_ms = 40, seconds = {step_seconds} }}]\n"
    with Installation(directory, settings=steps, nodes=nodes) as installation:
        installation.up()
        client = installation.client
        eventually(lambda: len(client.locations.page().items) == len(nodes))
        register(client, sockets=1)
        first = client.sessions.create(GAME, "1.0", players=[PARISIAN], city="Paris").session_id
        assert city_of(client.sessions.wait_until_ready(first, GENEROUS_SECONDS)) == "Paris"
        yield client, first


def city_of(session: Session) -> str:
    assert session.deployment is not None and session.deployment.location is not None, session
    return session.deployment.location.city


def chosen_city(placement: Placement) -> str | None:
    return placement.chosen.location.city if placement.chosen else None


def test_a_group_waits_for_a_seat_near_by_and_says_so(tmp_path: Path) -> None:
    with full_in_paris(tmp_path, step_seconds=3600) as (client, first):
        second = client.sessions.create(GAME, "1.0", players=[PARISIAN]).session_id
        waiting = client.sessions.get(second)
        assert (waiting.status, waiting.deployment) == (SessionStatus.SEEKING, None)
        placement = client.sessions.placement(second)
        assert (placement.rule, placement.limits.cap_ms, placement.chosen) == ("latency_steps", 40, None)
        why = {entry.location.city: entry.passed_over for entry in placement.ranking}
        assert set(why) == {"Paris", "Montreal"}
        assert "40 ms that are allowed so far" in why["Montreal"]
        client.sessions.delete(first)
        assert city_of(client.sessions.wait_until_ready(second, GENEROUS_SECONDS)) == "Paris"
        placement = client.sessions.placement(second)
        assert (chosen_city(placement), placement.limits.cap_ms) == ("Paris", 40)


def test_after_the_last_step_it_takes_any_seat(tmp_path: Path) -> None:
    with full_in_paris(tmp_path, step_seconds=1) as (client, _):
        second = client.sessions.create(GAME, "1.0", players=[PARISIAN]).session_id
        assert city_of(client.sessions.wait_until_ready(second, GENEROUS_SECONDS)) == "Montreal"
        placement = client.sessions.placement(second)
        assert (placement.rule, chosen_city(placement), placement.limits.cap_ms) == ("capacity", "Montreal", 0)
