"""What a node may say about itself. All of it is stored and much of it handed out, so all of it has limits."""

import re
from math import isfinite

from waymeet.model.errors import Invalid
from waymeet.model.instant import MICROSECONDS
from waymeet.model.node_messages import PROTOCOL, Answer, Hello, Role
from waymeet.model.relays import RelayCounters, RelayLoad
from waymeet.model.text import is_line

HIGHEST_CAPACITY = 100_000
HIGHEST_TAGS = 64
HIGHEST_IMAGES = 1_000
LONGEST_TEXT = 255
HIGHEST_BEACON_PORT = 59_999
"""Contract 2.14."""
HIGHEST_PORT = 65_535
HIGHEST_RELAY_CAPACITY = 1_000_000
HIGHEST_COUNT = 2**60
"""Far beyond what a relay can count in its life; several of them still fit what both databases hold."""
LATEST_INSTANT = 253_402_300_799 * MICROSECONDS
LONGEST_IMAGE = 512
LONGEST_WORD = 64
MOST_PROBES = 64
MOST_SAMPLES = 64
MOST_REASONS = 64

_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def check_hello(hello: Hello) -> None:
    """`Invalid` names the first member of a node's hello that is out of its limits."""
    if hello.protocol != PROTOCOL:
        raise Invalid({"protocol": f"this control plane speaks version {PROTOCOL}; run the same release on both sides"})
    if _NODE_NAME.fullmatch(hello.name) is None:
        raise Invalid({"name": "1 to 63 characters of a-z, 0-9 and inner hyphens"})
    if not hello.roles:
        raise Invalid({"roles": "at least one of server, relay, beacon"})
    if not 0 <= hello.capacity <= HIGHEST_CAPACITY:
        raise Invalid({"capacity": f"between 0 and {HIGHEST_CAPACITY} deployments"})
    if not hello.address or not is_line(hello.address, LONGEST_TEXT):
        raise Invalid({"address": f"the address that players connect to, 1 to {LONGEST_TEXT} printable characters"})
    if not hello.driver or not is_line(hello.driver, LONGEST_WORD):
        raise Invalid({"driver": f"1 to {LONGEST_WORD} printable characters"})
    if not is_line(hello.version, LONGEST_WORD):
        raise Invalid({"version": f"at most {LONGEST_WORD} printable characters"})
    if hello.region is not None and not is_line(hello.region, LONGEST_TEXT):
        raise Invalid({"region": f"at most {LONGEST_TEXT} printable characters"})
    _check_location(hello)
    _check_beacon(hello)
    _check_relay(hello)
    if len(hello.tags) > HIGHEST_TAGS:
        raise Invalid({"tags": f"at most {HIGHEST_TAGS}"})
    for key, value in hello.tags.items():
        if not key or not is_line(key, LONGEST_TEXT) or not is_line(value, LONGEST_TEXT):
            raise Invalid({"tags": f"names and values have at most {LONGEST_TEXT} printable characters"})
    images = hello.images or ()
    if len(images) > HIGHEST_IMAGES:
        raise Invalid({"images": f"at most {HIGHEST_IMAGES}; spread the programs over several nodes"})
    for index, image in enumerate(images):
        if not image or not is_line(image, LONGEST_IMAGE):
            raise Invalid({f"images.{index}": f"1 to {LONGEST_IMAGE} printable characters"})


def check_load(load: float | None) -> None:
    """`Invalid` for a heartbeat's load that no machine has."""
    if load is not None and not (isfinite(load) and load >= 0):
        raise Invalid({"load": "a load average, 0 or more"})


def check_answer(answer: Answer) -> None:
    """`Invalid` for an answer that cannot be one of ours to ask for."""
    if not is_line(answer.id, LONGEST_WORD):
        raise Invalid({"id": "the id of a question"})
    probes = answer.probes or ()
    if len(probes) > MOST_PROBES:
        raise Invalid({"probes": f"at most {MOST_PROBES}"})
    for index, probe in enumerate(probes):
        if not is_line(probe.address, LONGEST_WORD):
            raise Invalid({f"probes.{index}.address": "an address that was asked about"})
        if len(probe.samples_ms) > MOST_SAMPLES:
            raise Invalid({f"probes.{index}.samples_ms": f"at most {MOST_SAMPLES}"})

    if answer.relay is not None:
        _check_counters("relay", answer.relay)


def check_relay_load(load: RelayLoad) -> None:
    """`Invalid` for what no relay can have counted."""
    for member in ("sessions", "bindings"):
        _check_count(f"relay.{member}", getattr(load, member))
    _check_counters("relay.counters", load.counters)


def _check_counters(path: str, counters: RelayCounters) -> None:
    for member in ("received_packets", "received_bytes", "sent_packets", "sent_bytes"):
        _check_count(f"{path}.{member}", getattr(counters, member))
    if len(counters.drops) > MOST_REASONS:
        raise Invalid({f"{path}.drops": f"at most {MOST_REASONS} reasons"})
    for reason, count in counters.drops.items():
        if not is_line(reason, LONGEST_WORD):
            raise Invalid({f"{path}.drops": f"a reason has at most {LONGEST_WORD} printable characters"})
        _check_count(f"{path}.drops.{reason}", count)
    if counters.last_seen_at is not None and not 0 <= counters.last_seen_at <= LATEST_INSTANT:
        raise Invalid({f"{path}.last_seen_at": "an instant before the year 10000"})


def _check_count(path: str, count: int) -> None:
    if not 0 <= count <= HIGHEST_COUNT:
        raise Invalid({path: f"between 0 and {HIGHEST_COUNT}"})


def _check_relay(hello: Hello) -> None:
    if not 0 <= hello.relay_capacity <= HIGHEST_RELAY_CAPACITY:
        raise Invalid({"relay_capacity": f"between 0 and {HIGHEST_RELAY_CAPACITY} relay sessions"})
    if hello.relay is None:
        return
    if Role.RELAY not in hello.roles:
        raise Invalid({"relay": "ports of a relay, but the role relay is not among the roles"})
    for member in ("server_port", "client_port"):
        if not 1 <= getattr(hello.relay, member) <= HIGHEST_PORT:
            raise Invalid({f"relay.{member}": f"between 1 and {HIGHEST_PORT}"})
    if hello.relay.server_port == hello.relay.client_port:
        raise Invalid({"relay.client_port": "hosts and clients are told apart by the port; choose another"})


def _check_beacon(hello: Hello) -> None:
    if hello.beacon is None:
        return
    for member in ("udp_port", "tcp_port"):
        if not 1 <= getattr(hello.beacon, member) <= HIGHEST_BEACON_PORT:
            raise Invalid({f"beacon.{member}": f"between 1 and {HIGHEST_BEACON_PORT}"})


def _check_location(hello: Hello) -> None:
    for member, limit in (("latitude", 90.0), ("longitude", 180.0)):
        value = getattr(hello.location, member)
        if not isfinite(value) or abs(value) > limit:
            raise Invalid({f"location.{member}": f"degrees between -{limit:g} and {limit:g}"})
    for member in ("city", "country", "continent", "administrative_division", "timezone"):
        if not is_line(getattr(hello.location, member), LONGEST_TEXT):
            raise Invalid({f"location.{member}": f"at most {LONGEST_TEXT} printable characters"})
    if not hello.location.city.strip():
        raise Invalid({"location.city": "a name is required: clients tell places apart by it"})
