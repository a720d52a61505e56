"""What is said about many servers or relay sessions, in messages of bearable length."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from waymeet.model.relays import RelaySpec
from waymeet.model.servers import ServerReport, ServerSpec

About = TypeVar("About", ServerSpec, ServerReport, RelaySpec)

PART_BYTES = 1024 * 1024
"""Far below `MESSAGE_BYTES`, so that neither side is deaf for long while it reads or writes one message."""

_encoder = msgspec.json.Encoder()


def in_parts(many: Iterable[About], part_bytes: int = PART_BYTES) -> Iterator[tuple[About, ...]]:
    """`many` in their order, in tuples whose JSON has at most `part_bytes` bytes, or a single element."""
    part: list[About] = []
    length = 0
    for one in many:
        longer = len(_encoder.encode(one)) + 1
        if part and length + longer > part_bytes:
            yield tuple(part)
            part, length = [], 0
        part.append(one)
        length += longer
    if part:
        yield tuple(part)
