"""Query strings, decoded into a struct; unknown parameters are ignored like unknown members of a body."""

import re
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import inspect

from waymeet.http.errors import invalid_input
from waymeet.http.validation import explain

Query = TypeVar("Query")

HIGHEST_PARAMETERS = 64
_WHOLE = "query"
_INTEGER = re.compile(r"-?[0-9]+")
_LARGE = 10**18


class QueryDecoder(Generic[Query]):
    """Turns raw query strings into values of one struct type. A list is given by repetition, by commas, or both."""

    def __init__(self, of: type[Query]) -> None:
        self._type = of
        self._fields = {field.encode_name: _alternatives(field.type) for field in fields_of(of)}
        self._default = None if any(field.required for field in fields_of(of)) else self._convert({})

    def decode(self, raw: bytes) -> Query:
        """The parameters; `Invalid` naming the one that is missing, repeated, ill-typed or out of its limits."""
        if not raw and self._default is not None:
            return self._default
        return self._convert(self._split(raw))

    def _split(self, raw: bytes) -> dict[str, Any]:
        if raw.count(b"&") >= HIGHEST_PARAMETERS:
            raise invalid_input({_WHOLE: f"holds more than {HIGHEST_PARAMETERS} parameters"})
        found: dict[str, Any] = {}
        given: set[str] = set()
        for pair in raw.split(b"&"):
            name_text, _, value_text = pair.partition(b"=")
            name = _unquoted(name_text)
            kinds = self._fields.get(name)
            if kinds is None:
                continue
            value = _unquoted(value_text)
            if inspect.ListType in kinds:
                found.setdefault(name, []).extend(one for one in value.split(",") if one)
                continue
            if name in given:
                raise invalid_input({name: "is given more than once"})
            given.add(name)
            if inspect.IntType in kinds and inspect.StrType not in kinds:
                found[name] = _integer(name, value)
            elif value or inspect.NoneType not in kinds:
                found[name] = value
        return found

    def _convert(self, values: dict[str, Any]) -> Query:
        try:
            return msgspec.convert(values, self._type, strict=False)
        except msgspec.ValidationError as error:
            raise explain(error, self._type, _WHOLE) from None


def fields_of(struct: Any) -> tuple[inspect.Field, ...]:
    """The fields of a struct type."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType), f"{struct} must be a struct"
    return info.fields


def _alternatives(info: inspect.Type) -> frozenset[type[inspect.Type]]:
    """The kinds of values that a field may hold."""
    match info:
        case inspect.Metadata():
            return _alternatives(info.type)
        case inspect.UnionType():
            return frozenset().union(*(_alternatives(one) for one in info.types))
    return frozenset({type(info)})


def _integer(name: str, text: str) -> int:
    """The decoder alone would take `1.0` and `1e2` as well. Beyond 18 digits all integers are alike: too large."""
    if not _INTEGER.fullmatch(text):
        raise invalid_input({name: "must be an integer"})
    return int(text) if len(text) <= 18 else (-_LARGE if text.startswith("-") else _LARGE)


def _unquoted(text: bytes) -> str:
    try:
        value = unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise invalid_input({_WHOLE: "is not UTF-8"}) from None
    if "\0" in value:
        raise invalid_input({_WHOLE: "must not contain NUL characters"})
    return value
