"""Reading answers and writing bodies as JSON.

Reading is tolerant: unknown members are ignored, `null` means the same as an absent member, and a number may come as a
decimal string. Only what identifies an object is required.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

Value = TypeVar("Value")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what the server sends."""


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is sent to the server: a member with its default value is left out."""


def read(content: bytes, kind: type[Value]) -> Value:
    """`content` as a `kind`; `msgspec.DecodeError` when it cannot be one."""
    return convert(msgspec.json.decode(content), kind)


def convert(value: object, kind: type[Value]) -> Value:
    """Already parsed JSON as a `kind`, with the tolerance described above."""
    return msgspec.convert(_without_nulls(value), kind, strict=False)


def write(body: object) -> bytes:
    """`body` as JSON."""
    return msgspec.json.encode(body)


def answer(kind: type[Value]) -> Callable[[bytes], Value]:
    """A reader of bodies that are one object."""
    return lambda content: read(content, kind)


def member(name: str, kind: type[Value]) -> Callable[[bytes], Value]:
    """A reader of bodies that wrap what matters in one member, such as `{"success": true, "version": {...}}`."""

    def reader(content: bytes) -> Value:
        body = read(content, dict[str, object])
        if name not in body:
            raise msgspec.ValidationError(f"Object missing required field `{name}`")
        return convert(body[name], kind)

    return reader


def nothing(content: bytes) -> None:
    """A reader of bodies that hold nothing of interest."""


def _without_nulls(value: object) -> object:
    match value:
        case dict():
            return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_without_nulls(inner) for inner in value]
        case _:
            return value
