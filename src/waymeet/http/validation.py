"""What is wrong with input, in words that name the field and its limit (contract 1.4)."""

import re
from typing import Any

import msgspec

from waymeet.http.errors import invalid_input
from waymeet.model.errors import Invalid

_PLACE = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_MISTYPED = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<given>[^`]*)`")
_LIMITED = re.compile(r"Expected `(?P<wanted>[^`]*)` (?P<limit>.*)", re.DOTALL)

_NOUNS = {
    "int": "an integer",
    "str": "a string",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_LONGEST_TEXT = 300
WHOLE = "body"
"""What stands for the field path when the body as a whole is wrong."""


def explain(error: msgspec.ValidationError, of: Any, whole: str = WHOLE) -> Invalid:
    """The decoder's complaint about a value of type `of` as our error, with the field's path in dots."""
    text = str(error)
    place = _PLACE.search(text)
    path = _dotted(place["path"]) if place else ""
    text = text[: place.start()] if place else text
    if missing := _MISSING.fullmatch(text):
        name = missing["name"]
        return invalid_input({f"{path}.{name}" if path else name: f"'{name}' is a required property"})
    words = _in_words(text, of, path)[:_LONGEST_TEXT]
    return invalid_input({path or whole: f"a name in it {words}" if place and place["key"] else words})


def _dotted(path: str) -> str:
    """`.users[0].ip` as `users.0.ip`; keys of a map are not told apart by the decoder."""
    return re.sub(r"\[(\d+)\]", r".\1", path.replace("[...]", "")).strip(".")


def _in_words(text: str, of: Any, path: str) -> str:
    if mistyped := _MISTYPED.fullmatch(text):
        return f"must be {_nouns(mistyped['wanted'])}, not {_nouns(mistyped['given'])}"
    if limited := _LIMITED.fullmatch(text):
        return f"must be {_nouns(limited['wanted'])} {limited['limit']}"
    if text.startswith("Invalid enum value"):
        choices = _choices(msgspec.inspect.type_info(of), path.split(".") if path else [])
        if choices:
            return "must be one of " + ", ".join(choices)
    return text[:1].lower() + text[1:]


def _nouns(kinds: str) -> str:
    return " or ".join(_NOUNS.get(kind, kind) for kind in kinds.split(" | "))


def _choices(info: msgspec.inspect.Type, path: list[str]) -> list[str]:
    """The values that the enumeration at `path` allows; empty when there is none to be found there."""
    inspect = msgspec.inspect
    match info:
        case inspect.Metadata():
            return _choices(info.type, path)
        case inspect.UnionType():
            return [choice for kind in info.types for choice in _choices(kind, path)]
        case inspect.EnumType() if not path:
            return [str(member.value) for member in info.cls]
        case inspect.LiteralType() if not path:
            return [str(value) for value in info.values]
        case inspect.StructType() if path:
            return [
                choice
                for field in info.fields
                if field.encode_name == path[0]
                for choice in _choices(field.type, path[1:])
            ]
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() if path:
            return _choices(info.item_type, path[1:])
        case inspect.DictType():
            return _choices(info.value_type, path)
    return []
