"""Which addresses a node may be made to send something to."""

import pytest

from waymeet.model.networks import canonical_address, household_of, network_of
from waymeet.node.probing.targets import target

PUBLIC = ["8.8.8.8", "1.0.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "100.64.0.1", "192.0.0.8",
    "192.0.2.1", "198.51.100.1", "203.0.113.7", "198.18.0.1", "192.88.99.1", "::1", "fc00::1", "fe80::1", "fec0::1",
    "2001:db8::1", "3fff::1", "100::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "2002:a00:1::1", "2001::1",
    "64:ff9b::a00:1", "64:ff9b:1::1",
]  # fmt: skip
NOBODY = [
    "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "0.0.0.0", "0.1.2.3", "ff02::1", "::",
    "::ffff:224.0.0.1",
]  # fmt: skip
NO_ADDRESS = [
    "",
    "example.org",
    "8.8.8",
    "8.8.8.8/32",
    "08.8.8.8",
    "8.8.8.8 ",
    "fe80::1%eth0",
    "::1%lo",
    "1.2.3.4\0",
    "٨.٨.٨.٨",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_the_internet_may_be_probed(text: str) -> None:
    assert target(text, allow_private=False) is not None


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_not_on_the_internet_only_where_the_operator_allows_it(text: str) -> None:
    assert target(text, allow_private=False) is None
    assert target(text, allow_private=True) is not None


@pytest.mark.parametrize("text", [*NOBODY, *NO_ADDRESS])
def test_what_no_single_machine_has_may_never_be_probed(text: str) -> None:
    assert target(text, allow_private=False) is None
    assert target(text, allow_private=True) is None


def test_mapped_addresses_are_those_that_they_map() -> None:
    assert str(target("::ffff:8.8.4.4", allow_private=False)) == "8.8.4.4"


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.255", "203.0.113.0/24"),
        ("::ffff:203.0.113.1", "203.0.113.0/24"),
        ("2001:db8:1:ffff::1", "2001:db8:1::/48"),
        ("2001:db8::1", "2001:db8::/48"),
        ("::1", "::/48"),
        ("255.255.255.255", "255.255.255.0/24"),
    ],
)
def test_networks(text: str, network: str) -> None:
    address = canonical_address(text)
    assert address is not None
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("text", "household"),
    [
        ("203.0.113.255", "203.0.113.255"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("nowhere", "nowhere"),
    ],
)
def test_households(text: str, household: str) -> None:
    assert household_of(text) == household
