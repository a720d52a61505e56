"""The caller's own address behind proxies (contract 2.10), and lookups without any geo data (2.11)."""

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from tests.geo.mmdb import LONDON, TOKYO, database
from tests.http.conftest import running
from waymeet.geo.database import GeoDatabase
from waymeet.geo.files import Source
from waymeet.http.limits import HttpLimits
from waymeet.http.v1.ip_lookup import HIGHEST_RECENT, IpLookupEndpoints, RecentAnswers

TRUSTING = HttpLimits(rates={}, trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")))


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Its server trusts a proxy on this machine, and has no geo data."""
    endpoints = IpLookupEndpoints(GeoDatabase(tuple)).table()
    with running(endpoints=endpoints, limits=TRUSTING) as server, server.client() as client:
        yield client


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("2001:DB8::0:7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("nonsense", "127.0.0.1"),
    ],
)
def test_the_true_caller_behind_trusted_proxies(client: httpx.Client, said: str, seen: str) -> None:
    answer = client.get("/v1/ip", headers={"X-Forwarded-For": said})
    assert answer.json() == {"public_ip": seen}


def test_without_geo_data_nothing_is_known_and_nothing_fails(client: httpx.Client) -> None:
    assert client.get("/v1/ip/8.8.8.8/lookup").json() == {"type": "IPv4", "ip_address": "8.8.8.8"}
    many = client.post("/v1/ips/lookup", json={"addresses": ["8.8.8.8", "2001:4860:4860::8888"]})
    assert [entry["type"] for entry in many.json()["addresses"]] == ["IPv4", "IPv6"]
    assert "location" not in many.text


def test_what_is_remembered_is_forgotten_when_the_data_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.mmdb"
    geography = GeoDatabase(lambda: [Source(path, ours=False)])
    with running(endpoints=IpLookupEndpoints(geography).table()) as server, server.client() as client:
        for record, country in ((None, None), (LONDON, "GB"), (TOKYO, "JP")):
            if record is not None:
                path.write_bytes(database({"81.2.69.0/24": record}))
            geography.refresh()
            for _ in range(2):
                one = client.get("/v1/ip/81.2.69.1/lookup").json()
                many = client.post("/v1/ips/lookup", json={"addresses": ["81.2.69.1"]}).json()
                assert many == {"addresses": [one]}
                assert ("location" in one and one["location"]["country"]["code"]) == (country or False)


def test_what_is_remembered_is_bounded() -> None:
    recent = RecentAnswers()
    for number in range(5 * HIGHEST_RECENT):
        recent.keep(f"{number}", b"x")
        # Asked for all the time, so never forgotten.
        if number == 0 or recent.find("often") is None:
            recent.keep("often", b"y")
    assert len(recent) <= 2 * HIGHEST_RECENT
    assert recent.find("often") == b"y"
    assert recent.find("0") is None
    assert recent.find(f"{5 * HIGHEST_RECENT - 1}") == b"x"
