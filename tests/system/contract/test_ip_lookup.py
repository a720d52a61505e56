"""The own address, and where addresses are (contract 2.10 to 2.12)."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.system.contract.shapes import NUMBER, TEXT, assert_fits, one_of
from tests.system.contract.studio import PLAYER, Server, Studio

PLACED = {
    "type": one_of("IPv4", "IPv6"),
    "ip_address": TEXT,
    "location": {
        "continent": {"code": one_of("AF", "AN", "AS", "EU", "NA", "OC", "SA"), "name": TEXT},
        "country": {"code": TEXT, "name": TEXT},
        "latitude": NUMBER,
        "longitude": NUMBER,
    },
}
LONDON = {
    "type": "IPv4",
    "ip_address": "81.2.69.142",
    "location": {
        "continent": {"code": "EU", "name": "Europe"},
        "country": {"code": "GB", "name": "United Kingdom"},
        "latitude": 51.5072,
        "longitude": -0.1276,
    },
}
NO_ADDRESSES = [
    "", " ", "x", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4 ", "256.1.1.1", "1.2.3.4/24", "1.2.3.4:80", "[::1]", ":::",
    "2001:218::g", "fe80::1%eth0", "::1%1", "١.٢.٣.٤", "0x7f000001", "localhost", "1.2.3.-4", "::ffff:1.2.3", "1.2.3.4\n",
]  # fmt: skip


class TestOwn:
    def test_the_callers_address(self, studio: Studio) -> None:
        assert studio.api.get("/v1/ip") == {"public_ip": "127.0.0.1"}

    def test_only_trusted_proxies_are_believed(self, studio: Studio) -> None:
        claims = {"X-Forwarded-For": "81.2.69.142", "Forwarded": "for=81.2.69.142", "X-Real-IP": "81.2.69.142"}
        for name, value in claims.items():
            answer = studio.api.call("GET", "/v1/ip", headers={name: value})
            assert answer.json() == {"public_ip": "127.0.0.1"}


class TestOne:
    def test_a_known_one(self, studio: Studio) -> None:
        assert studio.api.get("/v1/ip/81.2.69.142/lookup") == LONDON
        assert_fits(LONDON, PLACED)

    @pytest.mark.parametrize(
        "written", ["2001:218::1", "2001%3A218%3A%3A1", "2001:0218:0:0:0:0:0:1", "2001:218:0::0:1", "2001:218::0.0.0.1"]
    )
    def test_ipv6_in_every_spelling(self, studio: Studio, written: str) -> None:
        answer = studio.api.get(f"/v1/ip/{written}/lookup")
        assert_fits(answer, PLACED)
        assert (answer["type"], answer["ip_address"]) == ("IPv6", "2001:218::1")
        assert answer["location"]["country"] == {"code": "JP", "name": "Japan"}

    @pytest.mark.parametrize("written", ["::ffff:81.2.69.142", "::FFFF:5102:458e", "0:0:0:0:0:ffff:81.2.69.142"])
    def test_ipv4_inside_ipv6(self, studio: Studio, written: str) -> None:
        assert studio.api.get(f"/v1/ip/{written}/lookup") == LONDON

    @pytest.mark.parametrize(
        "ip",
        [
            "10.0.0.5", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "169.254.1.1",
            "100.64.0.1",
            "224.0.0.1", "240.0.0.1", "255.255.255.255", "0.0.0.0", PLAYER, "81.2.70.1", "192.0.2.1", "172.32.0.1",
        ],
    )  # fmt: skip
    def test_private_reserved_and_unknown_ones(self, studio: Studio, ip: str) -> None:
        assert studio.api.get(f"/v1/ip/{ip}/lookup") == {"type": "IPv4", "ip_address": ip}

    @pytest.mark.parametrize(
        "ip", ["::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2002:a00:1::"]
    )
    def test_likewise_in_ipv6(self, studio: Studio, ip: str) -> None:
        assert studio.api.get(f"/v1/ip/{ip}/lookup") == {"type": "IPv6", "ip_address": ip}

    def test_private_ipv4_inside_ipv6(self, studio: Studio) -> None:
        assert studio.api.get("/v1/ip/::ffff:10.0.0.5/lookup") == {"type": "IPv4", "ip_address": "10.0.0.5"}

    @pytest.mark.parametrize("text", [text for text in NO_ADDRESSES if text])
    def test_no_address(self, studio: Studio, text: str) -> None:
        refused = studio.api.refused(400, "GET", f"/v1/ip/{quote(text, safe='')}/lookup")
        assert list(refused["errors"]) == ["ip"]
        assert "IPv4 or IPv6" in refused["message"]


class TestMany:
    def test_in_their_order_with_repeats(self, studio: Studio) -> None:
        asked = ["81.2.69.142", "10.0.0.5", "2001:218:0::1", "81.2.69.142", PLAYER]
        answer = studio.api.post("/v1/ips/lookup", {"addresses": asked})
        assert list(answer) == ["addresses"]
        assert [entry["ip_address"] for entry in answer["addresses"]] == [
            "81.2.69.142",
            "10.0.0.5",
            "2001:218::1",
            "81.2.69.142",
            PLAYER,
        ]
        assert answer["addresses"][0] == answer["addresses"][3] == LONDON
        assert ["location" in entry for entry in answer["addresses"]] == [True, False, True, True, False]

    def test_as_each_alone(self, studio: Studio) -> None:
        asked = ["81.2.69.1", "::ffff:89.160.20.7", "2001:218::5", "192.168.0.1", "8.8.8.8"]
        answer = studio.api.post("/v1/ips/lookup", {"addresses": asked})
        assert answer["addresses"] == [studio.api.get(f"/v1/ip/{ip}/lookup") for ip in asked]

    def test_twenty_at_most(self, studio: Studio) -> None:
        twenty = [f"81.2.69.{number}" for number in range(20)]
        assert len(studio.api.post("/v1/ips/lookup", {"addresses": twenty})["addresses"]) == 20
        refused = studio.api.refused(400, "POST", "/v1/ips/lookup", {"addresses": [*twenty, "81.2.69.20"]})
        assert list(refused["errors"]) == ["addresses"]
        assert "20" in refused["message"]

    def test_none(self, studio: Studio) -> None:
        assert studio.api.post("/v1/ips/lookup", {"addresses": []}) == {"addresses": []}

    @pytest.mark.parametrize("body", [{}, {"addresses": None}, {"addresses": "81.2.69.1"}, {"addresses": [1]}, []])
    def test_no_list(self, studio: Studio, body: object) -> None:
        studio.api.refused(400, "POST", "/v1/ips/lookup", body)

    @pytest.mark.parametrize("text", NO_ADDRESSES)
    def test_one_that_is_none_is_named(self, studio: Studio, text: str) -> None:
        refused = studio.api.refused(400, "POST", "/v1/ips/lookup", {"addresses": ["81.2.69.142", text]})
        assert list(refused["errors"]) == ["addresses.1"]


def test_all_three_want_a_key(server: Server) -> None:
    for authorization in (None, "token 00000000-0000-4000-8000-000000000000"):
        with server.caller(authorization) as api:
            api.refused(401, "GET", "/v1/ip")
            api.refused(401, "GET", "/v1/ip/81.2.69.142/lookup")
            api.refused(401, "POST", "/v1/ips/lookup", {"addresses": []})


@pytest.mark.parametrize(
    ("ip", "city"), [("81.2.69.9", "Paris"), ("216.160.83.9", "Montreal"), ("2001:218::9", "Frankfurt")]
)
def test_players_are_placed_by_their_address(studio: Studio, ip: str, city: str) -> None:
    # Without measuring: these are real networks, and tests leave them alone.
    app = studio.game()
    assert studio.run(app, ip_list=[ip], skip_telemetry=True)["location"]["city"] == city
    played = studio.play(app, ip, skip_telemetry=True)
    assert played["deployment"]["location"]["city"] == city
    (user,) = played["session_users"]
    assert user["latitude"] is not None


@pytest.mark.parametrize(
    "members",
    [
        {"country": "DE"}, {"country": "deu"}, {"country": "Federal Republic of Germany"}, {"city": "FRANKFURT"},
        {"continent": "eu", "city": "frankfürt"}, {"region": "EU", "administrative_division": "hesse"},
        {"filters": [{"field": "country", "values": ["CAN", "fr"], "filter_type": "not"}]},
        {"filters": [{"field": "country", "values": ["DE", "Germany"], "filter_type": "all"}]},
    ],
)  # fmt: skip
def test_places_are_named_in_many_ways(studio: Studio, members: dict[str, Any]) -> None:
    assert studio.run(studio.game(), **members)["location"]["city"] == "Frankfurt"


def test_it_is_ready_with_its_data(server: Server) -> None:
    with server.caller(None) as api:
        assert api.get("/readyz")["checks"]["geo"] == "ok"
