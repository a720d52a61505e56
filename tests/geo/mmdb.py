"""Writes small geo databases in MaxMind's open format, for tests: from networks and records to a file's bytes."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any

BUILT = 1_751_371_228
"""2025-07-01 12:00:28 UTC."""
LONDON = {
    "country_code": "GB", "state1": "England", "state2": "", "city": "London", "postcode": "",
    "latitude": 51.5072, "longitude": -0.1276, "timezone": "",
}  # fmt: skip
"""As ip-location-db writes it: flat."""
TOKYO = {
    "city": {"names": {"en": "Tokyo", "ja": "東京"}},
    "continent": {"code": "AS", "geoname_id": 6255147, "names": {"en": "Asia"}},
    "country": {"iso_code": "JP", "geoname_id": 1861060, "names": {"en": "Japan"}},
    "location": {"accuracy_radius": 10, "latitude": 35.6897, "longitude": 139.6895, "time_zone": "Asia/Tokyo"},
    "subdivisions": [{"iso_code": "13", "names": {"en": "Tokyo"}}],
}
"""As MaxMind and DB-IP write it: nested."""

_MARK = b"\xab\xcd\xefMaxMind.com"

Node = list["Node | int | None"]


@dataclass(frozen=True)
class _Unsigned:
    """A number of one of the format's widths; the metadata's are fixed."""

    value: int
    width: int


_KINDS = {16: 5, 32: 6, 64: 9}


def database(
    records: Mapping[str, Any], *, ip_version: int = 6, kind: str = "test", built: int = BUILT, record_bits: int = 28
) -> bytes:
    """The file. In one for both families, IPv4 networks lie at `::/96`, as everywhere."""
    content = bytearray()
    offsets: dict[int, int] = {}
    root: Node = [None, None]
    for text, record in records.items():
        # One record stands in the file once, however many networks point to it.
        if id(record) not in offsets:
            offsets[id(record)] = len(content)
            content += encoded(record)
        network = ip_network(text)
        bits = int(network.network_address)
        width, length = network.max_prefixlen, network.prefixlen
        if ip_version == 6 and isinstance(network, IPv4Network):
            width, length = 128, length + 96
        _put(root, bits, width, length, offsets[id(record)])
    nodes = _numbered(root)
    tree = b"".join(_node(node, nodes, record_bits) for node in nodes.values())
    metadata = {
        "binary_format_major_version": _Unsigned(2, 16),
        "binary_format_minor_version": _Unsigned(0, 16),
        "build_epoch": _Unsigned(built, 64),
        "database_type": kind,
        "description": {"en": "made for a test"},
        "ip_version": _Unsigned(ip_version, 16),
        "languages": ["en"],
        "node_count": _Unsigned(len(nodes), 32),
        "record_size": _Unsigned(record_bits, 16),
    }
    return tree + bytes(16) + bytes(content) + _MARK + encoded(metadata)


def _put(root: Node, bits: int, width: int, length: int, offset: int) -> None:
    assert length > 0, "a network of everything has no place in the tree"
    node = root
    for position in range(length - 1):
        side = bits >> (width - 1 - position) & 1
        following = node[side]
        if not isinstance(following, list):
            # A wider network that was put before goes on where the narrower one is not.
            following = node[side] = [following, following]
        node = following
    node[bits >> (width - length) & 1] = offset


def _numbered(root: Node) -> dict[int, Node]:
    """The nodes in the order of their numbers, by identity."""
    nodes = {id(root): root}
    waiting = [root]
    while waiting:
        for following in waiting.pop(0):
            if isinstance(following, list):
                nodes[id(following)] = following
                waiting.append(following)
    return nodes


def _node(node: Node, nodes: Mapping[int, Node], record_bits: int) -> bytes:
    numbers = {identity: number for number, identity in enumerate(nodes)}
    values: list[int] = []
    for following in node:
        if following is None:
            values.append(len(nodes))
        elif isinstance(following, list):
            values.append(numbers[id(following)])
        else:
            values.append(len(nodes) + 16 + following)
    left, right = values
    match record_bits:
        case 24 | 32:
            return left.to_bytes(record_bits // 8, "big") + right.to_bytes(record_bits // 8, "big")
        case 28:
            middle = (left >> 24) << 4 | right >> 24
            return (left & 0xFFFFFF).to_bytes(3, "big") + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3, "big")
    raise ValueError(record_bits)


def encoded(value: Any) -> bytes:
    """A value of the data section."""
    match value:
        case bool():
            return _control(14, int(value))
        case str():
            return _control(2, len(value.encode())) + value.encode()
        case float():
            return _control(3, 8) + struct.pack(">d", value)
        case bytes():
            return _control(4, len(value)) + value
        case _Unsigned(number, width):
            content = number.to_bytes((number.bit_length() + 7) // 8, "big")
            return _control(_KINDS[width], len(content)) + content
        case int() if value < 0:
            return _control(8, 4) + struct.pack(">i", value)
        case int():
            return encoded(_Unsigned(value, 64 if value >= 2**32 else 32))
        case dict():
            return _control(7, len(value)) + b"".join(encoded(k) + encoded(v) for k, v in value.items())
        case list():
            return _control(11, len(value)) + b"".join(encoded(item) for item in value)
    raise TypeError(value)


def _control(kind: int, size: int) -> bytes:
    if size < 29:
        low, more = size, b""
    elif size < 285:
        low, more = 29, bytes([size - 29])
    else:
        low, more = 30, (size - 285).to_bytes(2, "big")
    return (bytes([kind << 5 | low]) if kind < 8 else bytes([low, kind - 7])) + more
