"""JSON documents in text columns."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import msgspec

Document = TypeVar("Document")

REMEMBERED_DOCUMENTS = 2048
LONGEST_REMEMBERED = 2048
"""Characters; together with the number of documents this bounds what one reader keeps to some ten megabytes."""

_encoder = msgspec.json.Encoder()


def to_text(document: object) -> str:
    """A document as it is stored. The same document always gives the same text."""
    return _encoder.encode(document).decode()


def tag_text(tag: str) -> str:
    """How a tag's name stands in a deployment's `tags` document.

    A quotation mark inside another tag is escaped there, so this text cannot occur but as a whole name.
    """
    return f'"name":{to_text(tag)}'


def reader(of: type[Document]) -> Callable[[str], Document]:
    """Reads documents of one type, which must be immutable: the same text may give the same object.

    The same few short documents (a server's ports, a version's settings) are read with every request; they are decoded
    once.
    """
    decode = msgspec.json.Decoder(of).decode
    remembered = lru_cache(REMEMBERED_DOCUMENTS)(decode)

    def read(text: str) -> Document:
        return remembered(text) if len(text) <= LONGEST_REMEMBERED else decode(text)

    return read
