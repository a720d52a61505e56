"""A driver in memory and a control plane on loopback, both moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from tests.polling import GENEROUS_SECONDS
from waymeet.model.errors import NotFound
from waymeet.model.node_messages import FromNode, Heartbeat, SeenDelta, SeenFull, ServerLogs, ToNode, Welcome
from waymeet.model.servers import EndReason, Reading, ServerPhase, ServerReport, ServerSpec
from waymeet.wire import decode_from_node, encode


class FakeDriver:
    """Starts and stops at once, in memory; `calls` tells what it was asked to do."""

    images = ("waymeet/echo",)

    def __init__(self) -> None:
        self.reports: dict[str, ServerReport] = {}
        self.calls: list[tuple[str, str]] = []
        self.graces: list[float | None] = []
        self.stops_take_effect = True
        self._changed = asyncio.Event()
        self._failure: Exception | None = None

    async def open(self) -> None:
        self.calls.append(("open", ""))

    async def close(self) -> None:
        self.calls.append(("close", ""))

    async def start(self, spec: ServerSpec) -> None:
        self.calls.append(("start", spec.key))
        self.see(ServerReport(spec.key, ServerPhase.STARTING))

    async def stop(self, key: str, grace_seconds: float | None = None) -> None:
        self.calls.append(("stop", key))
        self.graces.append(grace_seconds)
        if self.stops_take_effect:
            self.see(ServerReport(key, ServerPhase.ENDED, end_reason=EndReason.STOPPED))

    async def look(self) -> Sequence[ServerReport]:
        self._changed.clear()
        return list(self.reports.values())

    async def changed(self) -> None:
        await self._changed.wait()
        if self._failure is not None:
            raise self._failure

    async def forget(self, key: str) -> None:
        self.calls.append(("forget", key))
        self.reports.pop(key, None)
        self._changed.set()

    async def logs(self, key: str) -> ServerLogs:
        if key not in self.reports:
            raise NotFound(f"no server {key!r} on this node")
        return ServerLogs(f"output of {key}")

    async def readings(self, key: str) -> Sequence[Reading]:
        raise NotFound(f"no server {key!r} on this node")

    def see(self, report: ServerReport) -> None:
        """The server's report from now on."""
        self.reports[report.key] = report
        self._changed.set()

    def fail(self, failure: Exception) -> None:
        """As a whole."""
        self._failure = failure
        self._changed.set()

    def asked(self, call: str) -> list[str]:
        return [key for name, key in self.calls if name == call]


class Conversation:
    """One connection of a node, seen from the control plane."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.authorization = connection.request.headers["Authorization"] if connection.request else ""
        self.close_code: int | None = None
        self.ended = asyncio.Event()

    async def receive(self) -> FromNode:
        """The next message that is not a heartbeat."""
        async with asyncio.timeout(GENEROUS_SECONDS):
            while isinstance(message := decode_from_node(await self._connection.recv()), Heartbeat):
                pass
        return message

    async def heartbeat(self) -> Heartbeat:
        """The next heartbeat."""
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not isinstance(message := decode_from_node(await self._connection.recv()), Heartbeat):
                pass
        return message

    async def seen(self, key: str, phase: ServerPhase) -> ServerReport:
        """The first report that sees the server in that phase."""
        while True:
            message = await self.receive()
            assert isinstance(message, SeenFull | SeenDelta)
            for report in message.reports:
                if (report.key, report.phase) == (key, phase):
                    return report

    async def send(self, *messages: ToNode) -> None:
        for message in messages:
            await self._connection.send(encode(message))

    async def send_text(self, text: str) -> None:
        await self._connection.send(text)

    async def close(self, code: int, reason: str = "") -> None:
        await self._connection.close(code, reason)

    def drop(self) -> None:
        """As a cut cable does it: no farewell."""
        self._connection.transport.abort()

    async def welcome(self) -> SeenFull:
        """Do what a control plane does first; the node's full state."""
        await self.receive()
        await self.send(Welcome(heartbeat_seconds=0.05))
        seen = await self.receive()
        assert isinstance(seen, SeenFull)
        return seen


class FakeControlPlane:
    """Accepts nodes; each connection is a `Conversation` that a test holds."""

    def __init__(self, server: Server, arrivals: "asyncio.Queue[Conversation]") -> None:
        self._arrivals = arrivals
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def conversation(self) -> Conversation:
        """The next connection of a node."""
        async with asyncio.timeout(GENEROUS_SECONDS):
            return await self._arrivals.get()


@asynccontextmanager
async def control_plane(refuse_with: int | None = None, port: int = 0) -> AsyncIterator[FakeControlPlane]:
    """A control plane on a free port of loopback. `refuse_with` is the HTTP status of every handshake."""
    arrivals: asyncio.Queue[Conversation] = asyncio.Queue()

    async def converse(connection: ServerConnection) -> None:
        conversation = Conversation(connection)
        await arrivals.put(conversation)
        await connection.wait_closed()
        conversation.close_code = connection.close_code
        conversation.ended.set()

    def check(connection: ServerConnection, request: Request) -> Response | None:
        if refuse_with is not None:
            return connection.respond(refuse_with, "no\n")
        return None if request.path == "/nodes/connect" else connection.respond(404, "no such path\n")

    async with serve(
        converse, "127.0.0.1", port, process_request=check, close_timeout=5.0, ping_interval=None
    ) as server:
        yield FakeControlPlane(server, arrivals)
