"""A node that says something out of limits about itself is told what, before any of it is stored."""

from dataclasses import replace
from typing import Any

import pytest

from tests.world import FRANKFURT
from waymeet.locations.hello import HIGHEST_COUNT, check_answer, check_hello, check_load, check_relay_load
from waymeet.model.errors import Invalid
from waymeet.model.instant import Instant
from waymeet.model.node_messages import PROTOCOL, Answer, BeaconPorts, Hello, Role
from waymeet.model.relays import DropReason, RelayCounters, RelayLoad, RelayPorts

HELLO = Hello(
    PROTOCOL,
    "a" * 63,
    (Role.SERVER, Role.RELAY),
    "d" * 64,
    "h" * 255,
    replace(FRANKFURT, city="São Tomé" + "e" * 247),
    100_000,
    {f"{index:02}" + "k" * 253: "v" * 255 for index in range(64)},
    "r" * 255,
    tuple(f"{index:04}" + "i" * 508 for index in range(1_000)),
    "1" * 64,
    BeaconPorts(59_999, 59_999),
    relay=RelayPorts(65_535, 65_534),
    relay_capacity=1_000_000,
)


def test_all_at_its_longest_is_accepted() -> None:
    check_hello(HELLO)
    check_hello(replace(HELLO, tags={}, region=None, images=None, version=""))


@pytest.mark.parametrize(
    ("member", "changed"),
    [
        ("protocol", {"protocol": PROTOCOL + 1}),
        ("name", {"name": "a" * 64}),
        ("name", {"name": "a\0"}),
        ("roles", {"roles": ()}),
        ("driver", {"driver": ""}),
        ("driver", {"driver": "d" * 65}),
        ("address", {"address": "192.0.2.1\0"}),
        ("address", {"address": "h" * 256}),
        ("version", {"version": "1" * 65}),
        ("region", {"region": "r" * 256}),
        ("region", {"region": "\0"}),
        ("capacity", {"capacity": 100_001}),
        ("capacity", {"capacity": -1}),
        ("location.city", {"location": replace(FRANKFURT, city=" ")}),
        ("location.city", {"location": replace(FRANKFURT, city="c" * 256)}),
        ("location.timezone", {"location": replace(FRANKFURT, timezone="\0")}),
        ("location.latitude", {"location": replace(FRANKFURT, latitude=float("nan"))}),
        ("location.longitude", {"location": replace(FRANKFURT, longitude=180.1)}),
        ("beacon.udp_port", {"beacon": BeaconPorts(0, 1)}),
        ("beacon.udp_port", {"beacon": BeaconPorts(60_000, 1)}),
        ("beacon.tcp_port", {"beacon": BeaconPorts(1, 60_000)}),
        ("beacon.tcp_port", {"beacon": BeaconPorts(1, -1)}),
        ("relay.server_port", {"relay": RelayPorts(0, 1)}),
        ("relay.server_port", {"relay": RelayPorts(65_536, 1)}),
        ("relay.client_port", {"relay": RelayPorts(1, -1)}),
        ("relay.client_port", {"relay": RelayPorts(1, 1)}),
        ("relay", {"roles": (Role.SERVER,)}),
        ("relay_capacity", {"relay_capacity": -1}),
        ("relay_capacity", {"relay_capacity": 1_000_001}),
        ("tags", {"tags": {f"{index}": "" for index in range(65)}}),
        ("tags", {"tags": {"": "v"}}),
        ("tags", {"tags": {"k" * 256: "v"}}),
        ("tags", {"tags": {"k": "v" * 256}}),
        ("tags", {"tags": {"k": "\0"}}),
        ("images", {"images": ("i",) * 1_001}),
        ("images.1", {"images": ("i", "")}),
        ("images.1", {"images": ("i", "i" * 513)}),
        ("images.0", {"images": ("i\0",)}),
    ],
)
def test_what_is_out_of_limits_is_named(member: str, changed: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as raised:
        check_hello(replace(HELLO, **changed))
    assert list(raised.value.fields) == [member]


@pytest.mark.parametrize("load", [-0.1, float("inf"), float("nan")])
def test_a_load_that_no_machine_has_is_refused(load: float) -> None:
    check_load(None)
    check_load(0.0)
    with pytest.raises(Invalid):
        check_load(load)


def test_an_answer_to_no_question_of_ours_is_refused() -> None:
    check_answer(Answer("0" * 64))
    for text in ("\0", "0" * 65):
        with pytest.raises(Invalid):
            check_answer(Answer(text))


MOST = RelayCounters(
    HIGHEST_COUNT,
    HIGHEST_COUNT,
    HIGHEST_COUNT,
    HIGHEST_COUNT,
    dict.fromkeys(DropReason, HIGHEST_COUNT),
    Instant(253_402_300_799_000_000),
)


def test_a_relay_at_its_most_is_accepted() -> None:
    check_relay_load(RelayLoad(HIGHEST_COUNT, HIGHEST_COUNT, MOST))
    check_answer(Answer("0", relay=MOST))


@pytest.mark.parametrize(
    "counters",
    [
        RelayCounters(received_packets=-1),
        RelayCounters(sent_bytes=HIGHEST_COUNT + 1),
        RelayCounters(drops={"no_host": -1}),
        RelayCounters(drops={"a\0": 1}),
        RelayCounters(drops={"r" * 65: 1}),
        RelayCounters(drops={str(number): 1 for number in range(65)}),
        RelayCounters(last_seen_at=Instant(-1)),
        RelayCounters(last_seen_at=Instant(253_402_300_800_000_000)),
    ],
)
def test_what_no_relay_counts_is_refused(counters: RelayCounters) -> None:
    with pytest.raises(Invalid, match="relay"):
        check_relay_load(RelayLoad(0, 0, counters))
    with pytest.raises(Invalid, match="relay"):
        check_answer(Answer("0", relay=counters))


@pytest.mark.parametrize("load", [RelayLoad(-1, 0, RelayCounters()), RelayLoad(0, 2**63, RelayCounters())])
def test_a_load_that_no_relay_has_is_refused(load: RelayLoad) -> None:
    with pytest.raises(Invalid, match="relay"):
        check_relay_load(load)
