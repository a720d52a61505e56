"""From the city that a player's client reports to the site of its beacon."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from tests.beacons.fleets import node
from tests.clocks import ManualClock
from tests.world import FRANKFURT
from waymeet.locations.directory import Directory
from waymeet.locations.types import Fleet
from waymeet.main.beacon_sites import BeaconSites

MONTREAL = node("montreal", replace(FRANKFURT, city="Montréal", latitude=45.5), known_since=1)
PLAIN = node("plain", replace(FRANKFURT, city="Montreal", latitude=46.5), known_since=2)
PARIS = node("paris", replace(FRANKFURT, city="Paris", latitude=48.9), known_since=3)


def sites(*nodes: object) -> BeaconSites:
    # It reads nothing else of the directory.
    directory = cast(Directory, SimpleNamespace(fleet=Fleet(nodes)))  # type: ignore[arg-type]
    return BeaconSites(directory, ManualClock())


@pytest.mark.parametrize("city", ["Montréal", "MONTRÉAL", "montreal", " Montre\u0301al "])
def test_letter_case_and_accents_do_not_matter(city: str) -> None:
    assert sites(PARIS, MONTREAL).site_of(city) == MONTREAL.place.site


def test_the_very_name_goes_first() -> None:
    both = sites(MONTREAL, PLAIN)
    assert both.site_of("Montreal") == PLAIN.place.site
    assert both.site_of("Montréal") == MONTREAL.place.site
    assert both.site_of("MONTREAL") in (MONTREAL.place.site, PLAIN.place.site)


def test_a_city_without_a_beacon() -> None:
    assert sites(MONTREAL).site_of("Atlantis") is None
