"""The list of beacons (contract 2.14), and that what it lists answers."""

import socket

import pytest

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.contract.shapes import LOCATION, TEXT, assert_fits
from tests.system.contract.studio import Studio

BEACONS = {
    "locations": [{"host": TEXT, "fqdn": str, "udp_port": int, "tcp_port": int, "location": LOCATION}],
    "count": int,
}
PATH = "/v1/locations/beacons"


def test_every_node_has_one_that_answers(studio: Studio) -> None:
    answer = eventually(lambda: found if (found := studio.api.get(PATH))["count"] == 3 else None)
    assert answer is not None
    assert_fits(answer, BEACONS)
    assert sorted(beacon["location"]["city"] for beacon in answer["locations"]) == ["Frankfurt", "Montreal", "Paris"]
    for beacon in answer["locations"]:
        assert 1 <= beacon["udp_port"] <= 59_999
        with socket.create_connection((beacon["host"], beacon["tcp_port"]), GENEROUS_SECONDS) as connection:
            connection.sendall(b"Ping")
            assert connection.recv(64) == b"Ping"


def test_pages(studio: Studio) -> None:
    whole = eventually(lambda: found if (found := studio.api.get(PATH))["count"] == 3 else None)
    assert whole is not None
    for page, expected in ((1, whole["locations"][:2]), (2, whole["locations"][2:]), (3, [])):
        assert studio.api.get(PATH, page=page, limit=2) == {"locations": expected, "count": len(expected)}


@pytest.mark.parametrize("query", ["page=0", "limit=0", "page=-1", "limit=x", "page=1.0", "limit="])
def test_pages_out_of_form(studio: Studio, query: str) -> None:
    refused = studio.api.refused(400, "GET", f"{PATH}?{query}")
    assert query.partition("=")[0] in refused["errors"]
