"""Node messages as JSON text: one object per message, its members those of the dataclass, plus the tag `type`.

Reading is strict about types (no number for a string, no string for a number) and tolerant of members that it does not
know, so that a newer side may talk to an older one.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from waymeet.model.errors import Invalid
from waymeet.model.node_messages import (
    Answer,
    FromNode,
    Heartbeat,
    Hello,
    Question,
    RelaysApplied,
    RelaysDelta,
    RelaysFull,
    RelaysHostless,
    RelaysIdle,
    RelaysPart,
    SeenDelta,
    SeenFull,
    SeenPart,
    ToNode,
    WantedDelta,
    WantedFull,
    WantedPart,
    Welcome,
)

MESSAGE_BYTES = 16 * 1024 * 1024
"""The longest message either side accepts. One server's specification or logs fit, also at their longest; what says
something about many servers is sent in parts (`wire.parts`)."""

_TAGS: Mapping[type, str] = {
    Hello: "hello",
    SeenPart: "seen_part",
    SeenFull: "seen_full",
    SeenDelta: "seen_delta",
    Heartbeat: "heartbeat",
    Answer: "answer",
    Welcome: "welcome",
    WantedPart: "wanted_part",
    WantedFull: "wanted_full",
    WantedDelta: "wanted_delta",
    Question: "question",
    RelaysPart: "relays_part",
    RelaysFull: "relays_full",
    RelaysDelta: "relays_delta",
    RelaysApplied: "relays_applied",
    RelaysIdle: "relays_idle",
    RelaysHostless: "relays_hostless",
}
_PREFIXES = {message: f'{{"type":"{tag}",'.encode() for message, tag in _TAGS.items()}

_Decoders = Mapping[str, msgspec.json.Decoder[Any]]
_FROM_NODE: _Decoders = {
    _TAGS[message]: msgspec.json.Decoder(message)
    for message in (Hello, SeenPart, SeenFull, SeenDelta, Heartbeat, Answer, RelaysApplied, RelaysIdle, RelaysHostless)
}
_TO_NODE: _Decoders = {
    _TAGS[message]: msgspec.json.Decoder(message)
    for message in (
        Welcome,
        WantedPart,
        WantedFull,
        WantedDelta,
        Question,
        RelaysPart,
        RelaysFull,
        RelaysDelta,
    )
}


class _Tagged(msgspec.Struct):
    type: str


_tag_decoder = msgspec.json.Decoder(_Tagged)
_encoder = msgspec.json.Encoder()

# msgspec says where it stopped in its own notation: "... - at `$.servers[0].image`".
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


def encode(message: FromNode | ToNode) -> str:
    """`message` as one line of JSON, to be sent as a text frame."""
    # Every message has at least one member, so the tag can go in front of it without a second pass over the rest.
    return (_PREFIXES[type(message)] + _encoder.encode(message)[1:]).decode()


def decode_from_node(text: str | bytes) -> FromNode:
    """What a node sent. Raises `Invalid`, naming the member at fault, for anything else."""
    return cast(FromNode, _decode(text, _FROM_NODE))


def decode_to_node(text: str | bytes) -> ToNode:
    """What the control plane sent. Raises `Invalid`, naming the member at fault, for anything else."""
    return cast(ToNode, _decode(text, _TO_NODE))


def _decode(text: str | bytes, decoders: _Decoders) -> object:
    if len(text) > MESSAGE_BYTES:
        raise Invalid({"message": f"longer than {MESSAGE_BYTES} bytes"})
    try:
        tag = _tag_decoder.decode(text).type
        decoder = decoders.get(tag)
        if decoder is None:
            raise Invalid({"type": f"{tag[:40]!r} is not one of {', '.join(decoders)}"})
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid({"message": f"not a JSON object: {error}"}) from None


def _invalid(explanation: str) -> Invalid:
    """The decoder's explanation with its path as a field path: `$.servers[0].image` becomes `servers.0.image`."""
    path = ""
    if at := _PATH.search(explanation):
        path = at["path"].replace("[", ".").replace("]", "").lstrip(".")
        explanation = explanation[: at.start()]
    if missing := _MISSING.search(explanation):
        path = f"{path}.{missing['name']}".lstrip(".")
        explanation = "required, but missing"
    return Invalid({path or "message": explanation})
