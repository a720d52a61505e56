"""Writing an answer's head and body with one system call."""

import asyncio
from typing import Any


class CoalescingTransport(asyncio.Transport):
    """What uvicorn writes a connection's answers to, in place of the transport.

    uvicorn writes head and body apart, and uvloop passes each on at once: two system calls and two packets for one
    small answer. Here a head waits for its body, at most until the end of the event loop's turn. Order is kept.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._expects_head = False
        self._head: Any = None
        self._flushing: asyncio.Handle | None = None

    def expect_head(self) -> None:
        """The next write begins an answer."""
        self._expects_head = True

    def write(self, data: Any) -> None:
        if self._head is not None:
            head = self._take_head()
            if data:
                self._transport.writelines((head, data))
            else:
                self._transport.write(head)
        elif self._expects_head:
            self._expects_head = False
            self._head = data
            self._flushing = self._loop.call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Writes a head that still waits."""
        if self._head is not None:
            self._transport.write(self._take_head())

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _take_head(self) -> Any:
        head = self._head
        self._head = None
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        return head
