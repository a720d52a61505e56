"""Reading server-sent events (HTML Living Standard, 9.2), whatever pieces they arrive in."""

from collections.abc import Iterator
from dataclasses import dataclass

from waymeet.client.errors import UnexpectedAnswer

MEDIA_TYPE = "text/event-stream"
LONGEST_EVENT = 4 * 1024 * 1024
"""Bytes; several times the largest lobby. Whoever sends more is not what we think."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is "message" where the server gave no other."""

    kind: str
    data: bytes


class EventReader:
    """Takes one answer's bytes, gives its events."""

    def __init__(self) -> None:
        self.last_id = ""
        """The id that came last: what `Last-Event-ID` says when the stream is opened again."""
        self.retry_seconds: float | None = None
        """The pause before that, when the server has said so."""
        self._rest: list[bytes] = []
        """What has come of a line that is not whole yet."""
        self._rest_size = 0
        self._after_return = False
        self._begun = False
        self._kind = b""
        self._data: list[bytes] = []
        self._size = 0

    def read(self, part: bytes) -> Iterator[Event]:
        """The events that this part completes. `UnexpectedAnswer` for one beyond `LONGEST_EVENT`."""
        if self._after_return and part:
            # The second half of a line's end came in a part of its own.
            part = part.removeprefix(b"\n")
            self._after_return = False
        lines = self._whole_lines(part)
        for line in lines:
            event = self._line(line.rstrip(b"\r\n"))
            if event is not None:
                yield event

    def _whole_lines(self, part: bytes) -> list[bytes]:
        lines = part.splitlines(keepends=True)
        rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
        if lines:
            # Joined once for each line: a long one in many pieces is not copied for each of them.
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest.clear()
            self._rest_size = 0
            self._after_return = not rest and lines[-1].endswith(b"\r")
        if rest:
            self._rest.append(rest)
            self._rest_size += len(rest)
        self._check()
        return lines

    def _line(self, line: bytes) -> Event | None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._size += len(value) + 1
                self._check()
                self._data.append(value)
            case b"event":
                self._kind = value
            case b"id" if value.isascii() and b"\0" not in value:
                # A header could not carry others as they are, and no service of ours sends them.
                self.last_id = value.decode("ascii")
            case b"retry" if value.isdigit() and len(value) < 10:
                self.retry_seconds = int(value) / 1000
        return None

    def _dispatch(self) -> Event | None:
        kind, data = self._kind, self._data
        self._kind, self._data, self._size = b"", [], 0
        return Event(kind.decode("utf-8", "replace") or "message", b"\n".join(data)) if data else None

    def _check(self) -> None:
        if self._size + self._rest_size > LONGEST_EVENT:
            raise UnexpectedAnswer(f"an event of more than {LONGEST_EVENT} bytes came: this is no lobby's stream")
