"""What a node may say about itself. All of it is stored and much of it handed out, so all of it has limits."""

import re
from math import isfinite

from waymeet.model.errors import Invalid
from waymeet.model.node_messages import PROTOCOL, Answer, Hello
from waymeet.model.text import is_line

HIGHEST_CAPACITY = 100_000
HIGHEST_TAGS = 64
HIGHEST_IMAGES = 1_000
LONGEST_TEXT = 255
HIGHEST_BEACON_PORT = 59_999
"""Contract 2.14."""
LONGEST_IMAGE = 512
LONGEST_WORD = 64
MOST_PROBES = 64
MOST_SAMPLES = 64

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
