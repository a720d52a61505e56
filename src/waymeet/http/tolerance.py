"""The forms of input that contract 1.3 asks to put up with, brought to the one form that the body types describe.

- An optional member sent as `null` is absent, and so are an optional string sent as "" and an optional array sent as
  []. Not so where an optional member may be null *and* is `UNSET` by default: it keeps what was sent, because there the
  rules behind it tell absent, null and empty apart.
- An integer may come as a decimal string.

What else is wrong with a value is left for the decoder to name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import NODEFAULT, inspect

Straighten = Callable[[Any], Any]
"""Returns its argument straightened; may change dictionaries and lists in place. Raises `Misfit`."""

_DECIMAL = re.compile(r"-?[0-9]{1,19}")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


class Misfit(Exception):
    """A value that no field can hold; `parts` is where it stands, innermost first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.parts: list[str] = []

    @property
    def path(self) -> str:
        return ".".join(reversed(self.parts))


def straightener(of: Any) -> Straighten | None:
    """What brings a decoded JSON value to the form of the type `of`; `None` when there is nothing to do."""
    return _Compiler().compile(inspect.type_info(of))


def _integer(value: Any) -> Any:
    if type(value) is str and _DECIMAL.fullmatch(value):
        value = int(value)
    # Beyond 64 bits no database column and no client's integer can hold it.
    if type(value) is int and not _LOWEST <= value <= _HIGHEST:
        raise Misfit("is outside the 64-bit integers")
    return value


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    optional: bool
    kept: bool
    """What was sent stays, however empty."""
    blank_is_absent: bool
    straighten: Straighten | None


class _Struct:
    """Straightens the members of one struct type; built before its members, so that types may contain themselves."""

    def __init__(self) -> None:
        self.members: tuple[_Member, ...] = ()

    def __call__(self, value: Any) -> Any:
        if type(value) is not dict:
            return value
        for member in self.members:
            item = value.get(member.name, value)
            if item is value:
                continue
            if member.optional and not item and self._absent(member, item):
                del value[member.name]
            elif member.straighten is not None:
                try:
                    value[member.name] = member.straighten(item)
                except Misfit as misfit:
                    misfit.parts.append(member.name)
                    raise
        return value

    @staticmethod
    def _absent(member: _Member, item: Any) -> bool:
        if member.kept:
            return False
        return item is None or (item == "" and member.blank_is_absent) or item == []


def _array_of(straighten: Straighten) -> Straighten:
    def array(value: Any) -> Any:
        if type(value) is not list:
            return value
        for index, item in enumerate(value):
            try:
                value[index] = straighten(item)
            except Misfit as misfit:
                misfit.parts.append(str(index))
                raise
        return value

    return array


def _map_of(straighten: Straighten) -> Straighten:
    def mapping(value: Any) -> Any:
        if type(value) is not dict:
            return value
        for key, item in value.items():
            try:
                value[key] = straighten(item)
            except Misfit as misfit:
                misfit.parts.append(key)
                raise
        return value

    return mapping


def _one_of(structs: Mapping[str | int | None, Straighten], tag: str | None, others: list[Straighten]) -> Straighten:
    def choice(value: Any) -> Any:
        if type(value) is dict and structs:
            label = value.get(tag) if tag is not None else None
            chosen = structs.get(label) if isinstance(label, str | int | None) else None
            return chosen(value) if chosen is not None else value
        for straighten in others:
            value = straighten(value)
        return value

    return choice


class _Compiler:
    def __init__(self) -> None:
        self._structs: dict[type, _Struct] = {}

    def compile(self, info: inspect.Type) -> Straighten | None:
        match info:
            case inspect.Metadata():
                return self.compile(info.type)
            case inspect.IntType():
                return _integer
            case inspect.StructType():
                return self._struct(info)
            case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
                inner = self.compile(info.item_type)
                return _array_of(inner) if inner else None
            case inspect.DictType():
                inner = self.compile(info.value_type)
                return _map_of(inner) if inner else None
            case inspect.UnionType():
                return self._union(info)
        return None

    def _struct(self, info: inspect.StructType) -> _Struct:
        if (known := self._structs.get(info.cls)) is not None:
            return known
        struct = self._structs[info.cls] = _Struct()
        struct.members = tuple(self._member(field) for field in info.fields)
        return struct

    def _member(self, field: inspect.Field) -> _Member:
        kinds = _alternatives(field.type)
        # msgspec shows a field whose default is UNSET as one that is neither required nor has a default.
        unset = not field.required and field.default is NODEFAULT and field.default_factory is NODEFAULT
        return _Member(
            name=field.encode_name,
            optional=not field.required,
            kept=unset and any(isinstance(kind, inspect.NoneType) for kind in kinds),
            blank_is_absent=any(_is_text(kind) for kind in kinds),
            straighten=self.compile(field.type),
        )

    def _union(self, info: inspect.UnionType) -> Straighten | None:
        kinds = _alternatives(info)
        structs: dict[str | int | None, Straighten] = {}
        tag: str | None = None
        others: list[Straighten] = []
        text = any(isinstance(kind, inspect.StrType) for kind in kinds)
        for kind in kinds:
            if isinstance(kind, inspect.StructType):
                structs[kind.tag] = self._struct(kind)
                tag = kind.tag_field or tag
            elif isinstance(kind, inspect.IntType) and text:
                continue  # a decimal string is a string there
            elif (straighten := self.compile(kind)) is not None:
                others.append(straighten)
        return _one_of(structs, tag, others) if structs or others else None


def _alternatives(info: inspect.Type) -> tuple[inspect.Type, ...]:
    match info:
        case inspect.Metadata():
            return _alternatives(info.type)
        case inspect.UnionType():
            return tuple(kind for one in info.types for kind in _alternatives(one))
    return (info,)


def _is_text(kind: inspect.Type) -> bool:
    match kind:
        case inspect.StrType() | inspect.DateTimeType() | inspect.UUIDType():
            return True
        case inspect.EnumType():
            return issubclass(kind.cls, str)
        case inspect.LiteralType():
            return any(isinstance(value, str) for value in kind.values)
    return False
