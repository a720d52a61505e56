"""One client connection: uvicorn's HTTP protocol with the bounds that it leaves open.

uvicorn on httptools accepts heads of any size, waits for ever for a request to begin or to go on, and answers what is
not HTTP in plain text. Here heads are bounded, stalled clients are let go, and every refusal is JSON (contract 1.3).
The methods below run for every request: each does no more than move a flag or a number.
"""

import asyncio
from typing import ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from waymeet.http.coalescing import CoalescingTransport

LONGEST_HEAD = 32 * 1024
"""Bytes of request target and headers together."""
LONGEST_DISCARDED = 8 * 1024 * 1024
"""Bytes that are read and thrown away after a request has been answered before all of it was there: enough for the
client to finish sending and read the answer."""
LINGER_SECONDS = 2.0
MOST_CONNECTIONS = 10_000


class Connection(HttpToolsProtocol):
    """Made by uvicorn for each connection."""

    patience_seconds: ClassVar[float] = 15.0
    """How long a request may take to arrive, at least; at most twice this."""

    _sweep: asyncio.TimerHandle | None = None
    _messages = 0
    _messages_at_sweep = 0
    _in_head = False
    _in_message = False
    _large_chunk = False
    _head_bytes = 0
    _discarded_bytes = 0
    _refused = False
    _refusal: tuple[int, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._answers = CoalescingTransport(transport, self.loop)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(503, "too many connections; try again later")
            return
        self._sweep = self.loop.call_later(self.patience_seconds, self._let_go_if_stalled)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_sweeping()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._stop_sweeping()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._discard(len(data))
            return
        began_before = self._in_head
        self._large_chunk = len(data) > LONGEST_HEAD
        super().data_received(data)
        # What came in the chunk that a head began in is not counted: a body may stand before it.
        if self._in_head and began_before:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD:
                self._refuse(*_HEAD_TOO_LONG)

    def on_message_begin(self) -> None:
        self._messages += 1
        self._in_head = self._in_message = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if (self._large_chunk or self._head_bytes) and self._head_size() > LONGEST_HEAD:
            self._refusal = _HEAD_TOO_LONG
            # Whatever a callback raises ends in `send_400_response`.
            raise ValueError(_HEAD_TOO_LONG[1])
        super().on_headers_complete()
        if self.cycle is not None:
            self._answers.expect_head()
            self.cycle.transport = self._answers

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            self._discard(len(body))
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        self._discarded_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        status, message = self._refusal or (400, "this is not a well-formed HTTP request")
        self._refuse(status, message)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse(self, status: int, message: str) -> None:
        """Answers outside any application, and closes once the client has read it or a moment has passed.

        Closing at once, with bytes of the client still unread, would reset the connection and take the answer with it.
        """
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._answers.flush()
        self._stop_sweeping()
        body = msgspec.json.encode({"message": message})
        lines = (
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"connection: close\r\n\r\n",
            body,
        )
        self.transport.write(b"".join(lines))
        self.transport.write_eof()
        self._sweep = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > LONGEST_DISCARDED:
            self.transport.close()

    def _stop_sweeping(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _let_go_if_stalled(self) -> None:
        if self.transport.is_closing():
            return
        if self._messages == 0:
            # Connected and never said a word: nothing to answer.
            self.transport.close()
            return
        if self._in_message and self._messages == self._messages_at_sweep:
            if not self._in_head and self.cycle.response_complete:
                self.transport.close()
            else:
                # A handler that waits for the body learns from the closed connection.
                self._refuse(408, f"the request did not arrive within {self.patience_seconds:g} seconds")
            return
        self._messages_at_sweep = self._messages
        self._sweep = self.loop.call_later(self.patience_seconds, self._let_go_if_stalled)


_HEAD_TOO_LONG = (431, f"the request's target and headers are longer than {LONGEST_HEAD} bytes together")
