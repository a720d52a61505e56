"""What is said about many servers, in messages of bearable length."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from waymeet.model.servers import ServerReport, ServerSpec

About = TypeVar("About", ServerSpec, ServerReport)

PART_BYTES = 1024 * 1024
"""Far below `MESSAGE_BYTES`, so that neither side is deaf for long while it reads or writes one message."""

_encoder = msgspec.json.Encoder()


def in_parts(servers: Iterable[About], part_bytes: int = PART_BYTES) -> Iterator[tuple[About, ...]]:
    """`servers` in their order, in tuples whose JSON has at most `part_bytes` bytes, or a single element."""
    part: list[About] = []
    length = 0
    for server in servers:
        longer = len(_encoder.encode(server)) + 1
        if part and length + longer > part_bytes:
            yield tuple(part)
            part, length = [], 0
        part.append(server)
        length += longer
    if part:
        yield tuple(part)
