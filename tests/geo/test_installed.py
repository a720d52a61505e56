"""The real geo data, where it is installed."""

import os
import random
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.conftest import missing
from waymeet.cli.geo import opened
from waymeet.geo.database import GeoDatabase
from waymeet.geo.distance import distance_km, unit_vector
from waymeet.model.location import Coordinates
from waymeet.settings import Command, load


@pytest.fixture(scope="module")
def geography() -> GeoDatabase:
    settings = load(Command.SERVE, environment={"HOME": "/", **_directory()})
    database = opened(settings.geo)
    if not database.state.files:
        missing("geo", "no geo data is installed; `make build` installs it where the internet can be reached")
    return database


def _directory() -> dict[str, str]:
    named = os.environ.get("WAYMEET_GEO_DIRECTORY", "")
    return {"WAYMEET_GEO_DIRECTORY": named} if named else {}


def test_it_is_whole_and_dated(geography: GeoDatabase) -> None:
    assert geography.state.problems == ()
    assert any(file.reads_ipv6 for file in geography.state.files)
    # Of this century's years 20 to 99.
    assert 1_577_836_800 < (geography.state.built_at or 0) / 1e6 < 4_102_444_800
    assert all(Path(file.path).stat().st_size > 1_000_000 for file in geography.state.files)


@pytest.mark.parametrize(
    ("ip", "country", "point"),
    [
        # Universities and broadcasters that have had their networks, and stood where they stand, for decades.
        ("18.9.22.69", "US", Coordinates(42.36, -71.09)),
        ("128.112.128.15", "US", Coordinates(40.34, -74.66)),
        ("129.132.1.1", "CH", Coordinates(47.38, 8.54)),
        ("212.58.244.1", "GB", Coordinates(51.51, -0.13)),
        ("133.11.0.1", "JP", Coordinates(35.71, 139.76)),
    ],
)
def test_well_known_places(geography: GeoDatabase, ip: str, country: str, point: Coordinates) -> None:
    place = geography.lookup(ip)
    assert place is not None
    assert place.country is not None
    assert place.country.code == country
    assert place.coordinates is not None
    # What publishers of such data know is often a city nearby.
    assert distance_km(unit_vector(place.coordinates), unit_vector(point)) < 500


def test_documentation_and_private_networks_are_nowhere(geography: GeoDatabase) -> None:
    for ip in ("203.0.113.7", "198.51.100.23", "192.0.2.1", "10.0.0.1", "127.0.0.1", "2001:db8::1", "::1", "fe80::1"):
        assert geography.coordinates_of(ip) is None, ip


def test_every_code_in_it_is_known(geography: GeoDatabase) -> None:
    """The table of countries is ours: a code that the data has and the table has not would go unnamed."""
    rng = random.Random(1)
    unnamed: Counter[str] = Counter()
    named = 0
    for _ in range(20_000):
        ip = str(IPv4Address(rng.randrange(1 << 24, 224 << 24)))
        place = geography.lookup(ip)
        if place is None:
            continue
        if place.country is None or place.continent is None:
            unnamed[ip] += 1
        else:
            named += 1
    assert named > 5_000
    # Publishers use a few codes that are nobody's, for networks of which they know the region only.
    assert unnamed.total() <= named // 1000, unnamed
