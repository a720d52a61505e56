"""Request bodies: read within bounds, decoded, straightened, checked (contract 1.3)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from waymeet.http.errors import ProtocolError, invalid_input
from waymeet.http.tolerance import Misfit, straightener
from waymeet.http.validation import WHOLE, explain

Body = TypeVar("Body")
Receive = Callable[[], Awaitable[Any]]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
NUL = "must not contain NUL characters"


class ClientGone(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body. 413 as soon as it is known to be longer than `limit` bytes; nothing is kept of what follows.

    Waits as long as it takes: `connection` ends requests that do not arrive in time.
    """
    declared = headers.get(b"content-length")
    if declared is not None:
        # The HTTP parser has seen to it that these are digits, if perhaps very many.
        if len(declared) > 18 or int(declared) > limit:
            raise _too_large(limit)
    elif b"transfer-encoding" not in headers:
        return b""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _too_large(limit: int) -> ProtocolError:
    return ProtocolError(413, f"the body is longer than {limit} bytes; send a shorter one")


class BodyDecoder(Generic[Body]):
    """Turns bytes into a value of one type. An empty body counts as an empty object."""

    def __init__(self, of: type[Body]) -> None:
        self._type = of
        self._straighten = straightener(of)

    def decode(self, raw: bytes) -> Body:
        """The value; `Invalid` for anything that is not JSON or not of the type."""
        decoded = parse(raw) if raw else {}
        try:
            if self._straighten is not None:
                decoded = self._straighten(decoded)
            return msgspec.convert(decoded, self._type)
        except Misfit as misfit:
            raise invalid_input({misfit.path or WHOLE: misfit.text}) from None
        except msgspec.ValidationError as error:
            raise explain(error, self._type) from None


def parse(raw: bytes) -> Any:
    """JSON text as plain values; `Invalid` unless every client and database would read the same from it.

    Refused beyond malformed text: repeated names in an object, and NUL characters, which PostgreSQL cannot store.
    """
    try:
        decoded = _decode(raw)
    except UnicodeDecodeError:
        raise invalid_input({WHOLE: "is not UTF-8"}) from None
    except RecursionError:
        raise invalid_input({WHOLE: "is nested too deeply"}) from None
    except msgspec.ValidationError:
        raise invalid_input({WHOLE: "holds a number that is out of range"}) from None
    except msgspec.DecodeError as error:
        if not raw.strip():
            return {}
        raise invalid_input({WHOLE: f"is not JSON: {error}"}) from None
    if b"\\u0000" in raw:
        _refuse_nul(decoded)
    if isinstance(decoded, dict | list):
        _refuse_repeated_names(raw, decoded)
    return decoded


def _refuse_nul(value: Any) -> None:
    """Depth is bounded by the decoder, which has already refused what nests deeper than the interpreter's stack."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        path, item = pending.pop()
        if isinstance(item, str):
            if "\0" in item:
                raise invalid_input({path or WHOLE: NUL})
        elif isinstance(item, list):
            pending.extend((f"{path}.{index}" if path else str(index), one) for index, one in enumerate(item))
        elif isinstance(item, dict):
            if any("\0" in name for name in item):
                raise invalid_input({path or WHOLE: NUL})
            pending.extend((f"{path}.{name}" if path else name, one) for name, one in item.items())


def _refuse_repeated_names(raw: bytes, decoded: Any) -> None:
    """Compares how many members were sent with how many were kept: far cheaper than a second, careful parse.

    An escaped quote can make the counts differ in a text without repetition; the careful parse then decides.
    """
    if msgspec.json.format(raw, indent=-1).count(b'":') == _encode(decoded).count(b'":'):
        return

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            names = [name for name, _ in pairs]
            repeated = next(name for name in names if names.count(name) > 1)
            raise invalid_input({repeated: "is given more than once"})
        return members

    json.loads(raw, object_pairs_hook=unique)
