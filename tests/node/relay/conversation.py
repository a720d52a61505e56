"""What games put on top of a relay: messages that arrive whole and in order over datagrams that do not, as KCP does it, in
small.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable

LARGEST_PAYLOAD = 1187
"""What fits into a relay's frames, all of which are at most 1200 bytes long (relay wire, section 3)."""

_header = struct.Struct("<IIBI")
LARGEST_MESSAGE = LARGEST_PAYLOAD - _header.size

_HELLO, _MESSAGE, _RECEIPT = range(3)
_UNKNOWN = 0
_WINDOW = 16
"""Messages under way."""


class Conversation:
    """One end of it. No sockets, no time: its owner says what came in, and when it is time to send again.

    Each end has a life, a number that changes when its program starts anew. Whoever sees the other in another life begins
    from the start with what has not been heard yet.
    """

    def __init__(self, life: int, send: Callable[[bytes], None]) -> None:
        self._life = life
        self._send = send
        self._other = _UNKNOWN
        self._waiting: OrderedDict[int, bytes] = OrderedDict()
        """Messages by number, those that the other end has not said that it heard."""
        self._next = 0
        self._early: dict[int, bytes] = {}
        self._expected = 0
        self.heard: list[bytes] = []
        """Whole messages, in order."""

    @property
    def is_settled(self) -> bool:
        """The other end has heard everything."""
        return not self._waiting

    def say(self, message: bytes) -> None:
        assert len(message) <= LARGEST_MESSAGE
        self._waiting[self._next] = message
        if len(self._waiting) <= _WINDOW:
            self._send_out(_MESSAGE, self._next, message)
        self._next += 1

    def resend(self) -> None:
        """Send once more what has not been heard, as far as the window goes."""
        for number, message in list(self._waiting.items())[:_WINDOW]:
            self._send_out(_MESSAGE, number, message)

    def hear(self, payload: bytes) -> None:
        """A payload came, maybe for the second time, maybe before its turn."""
        life, to, kind, number = _header.unpack_from(payload)
        if life != self._other:
            self._meet(life)
        if to not in (_UNKNOWN, self._life):
            # It is talking to an earlier life of ours, and should know.
            self._send_out(_HELLO, 0)
        elif kind == _MESSAGE:
            if number >= self._expected:
                self._early[number] = payload[_header.size :]
            while self._expected in self._early:
                self.heard.append(self._early.pop(self._expected))
                self._expected += 1
            self._send_out(_RECEIPT, number)
        elif kind == _RECEIPT and to == self._life:
            self._waiting.pop(number, None)

    def _meet(self, life: int) -> None:
        if self._other != _UNKNOWN:
            self._waiting = OrderedDict(enumerate(self._waiting.values()))
            self._next = len(self._waiting)
        self._other = life
        self._early.clear()
        self._expected = 0

    def _send_out(self, kind: int, number: int, message: bytes = b"") -> None:
        self._send(_header.pack(self._life, self._other, kind, number) + message)
