"""Where a request comes from (contract 2.10)."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import running
from waymeet.http.client_address import ClientAddresses
from waymeet.http.limits import HttpLimits

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


def seen(peer: str, *headers: tuple[str, str], forwarded: bool = False, trusted: bool = True) -> str:
    addresses = ClientAddresses(TRUSTED if trusted else (), "forwarded" if forwarded else "x-forwarded-for")
    return addresses.of((peer, 4000), [(name.encode(), value.encode("latin-1")) for name, value in headers])


class TestXForwardedFor:
    def test_a_stranger_is_not_believed(self) -> None:
        assert seen("192.0.2.9", ("x-forwarded-for", "203.0.113.7")) == "192.0.2.9"
        assert seen("10.0.0.1", ("x-forwarded-for", "203.0.113.7"), trusted=False) == "10.0.0.1"

    def test_the_nearest_that_is_not_trusted_is_the_client(self) -> None:
        assert seen("10.0.0.1", ("x-forwarded-for", "203.0.113.7")) == "203.0.113.7"
        assert seen("10.0.0.1", ("x-forwarded-for", "198.51.100.1, 203.0.113.7, 10.9.9.9")) == "203.0.113.7"

    def test_several_headers_are_one_list(self) -> None:
        headers = (("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7"))
        assert seen("10.0.0.1", *headers) == "203.0.113.7"

    @pytest.mark.parametrize("junk", ["", "unknown", "203.0.113", "<script>", "203.0.113.7:x:y", "é"])
    def test_junk_ends_the_walk(self, junk: str) -> None:
        assert seen("10.0.0.1", ("x-forwarded-for", f"198.51.100.1, {junk}")) == "10.0.0.1"
        assert seen("10.0.0.1", ("x-forwarded-for", f"{junk}, 203.0.113.7")) == "203.0.113.7"

    @pytest.mark.parametrize(
        ("entry", "address"),
        [
            ("203.0.113.7:51234", "203.0.113.7"),
            ("2001:DB8::0:1", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("fe80::1%eth0", "fe80::1"),
        ],
    )
    def test_forms_of_an_address(self, entry: str, address: str) -> None:
        assert seen("10.0.0.1", ("x-forwarded-for", entry)) == address

    def test_the_other_header_is_ignored(self) -> None:
        assert seen("10.0.0.1", ("forwarded", "for=203.0.113.7")) == "10.0.0.1"
        assert seen("10.0.0.1", ("x-forwarded-for", "203.0.113.7"), forwarded=True) == "10.0.0.1"

    def test_when_all_are_trusted_the_farthest_is_the_client(self) -> None:
        assert seen("10.0.0.1", ("x-forwarded-for", "10.0.0.3, 10.0.0.2")) == "10.0.0.3"


class TestForwarded:
    @pytest.mark.parametrize(
        ("value", "address"),
        [
            ("for=203.0.113.7", "203.0.113.7"),
            ('For="[2001:db8:2::17]:4711";proto=https;by=10.0.0.1', "2001:db8:2::17"),
            ("proto=http;for=203.0.113.7, for=10.0.0.7", "203.0.113.7"),
            ("for=198.51.100.1, for=unknown", "10.0.0.1"),
            ("for=198.51.100.1, for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ],
    )
    def test_elements(self, value: str, address: str) -> None:
        assert seen("10.0.0.1", ("forwarded", value), forwarded=True) == address


def test_mapped_peers_are_version_4() -> None:
    assert seen("::ffff:203.0.113.7") == "203.0.113.7"
    assert seen("::ffff:10.0.0.1", ("x-forwarded-for", "203.0.113.7")) == "203.0.113.7"
    assert seen("::ffff:203.0.113.7", trusted=False) == "203.0.113.7"


@given(value=st.text(st.characters(max_codepoint=255), max_size=200), forwarded=st.booleans())
def test_any_header_gives_some_address(value: str, forwarded: bool) -> None:
    name = "forwarded" if forwarded else "x-forwarded-for"
    assert seen("10.0.0.1", (name, value), forwarded=forwarded)


def test_over_the_wire() -> None:
    limits = HttpLimits(trusted_proxies=(ip_network("127.0.0.0/8"),))
    with running(limits=limits) as server, server.client() as client:
        shown = client.get("/v1/session/x", headers={"x-forwarded-for": "198.51.100.1, 203.0.113.7"}).json()
        assert shown["client_address"] == "203.0.113.7"
        assert client.get("/v1/session/x").json()["client_address"] == "127.0.0.1"
