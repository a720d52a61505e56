"""Webhook receivers on loopback that behave as badly as a test wants."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    port: int = 0
    connections: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=1"


async def read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Request(head[0], headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@contextlib.asynccontextmanager
async def receiving(answer: bytes | Behaviour, certificates: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that answers every request with these bytes, or does with the connection as it likes."""
    receiver = Receiver()
    serving: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        serving[asyncio.current_task()] = writer
        try:
            while True:
                receiver.requests.append(await read_request(reader))
                if callable(answer):
                    await answer(reader, writer)
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificates)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        # None of its connections may outlive the test's event loop. What was accepted last needs a few rounds of that
        # to have its task.
        for _ in range(10):
            await asyncio.sleep(0)
        for task, writer in serving.items():
            assert task is not None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def status(code: int, body: bytes = b"", headers: str = "") -> bytes:
    return f"HTTP/1.1 {code} Whatever\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Says nothing until the other side gives up."""
    await reader.read()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tears the connection down without a word."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def talk_for_ever(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A header that never ends, a byte at a time: each arrives before any timeout for a single read."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Not HTTP."""
    writer.write(b"220 mail.example.org ESMTP\r\n")
    await writer.drain()
