"""One node's connection, from its hello to its end.

    accept ─▶ Hello ─▶ join ─▶ Welcome ─▶ SeenFull ─▶ apply ─▶ WantedFull ─▶ listen ┐
                                                                    └▶ tell ────────┴─▶ leave

`listen` applies what the node reports; `tell` waits for the node's bell and sends what changed. Nothing here is state
that only this process has: both sides start again from the store and from the node's own report after any interruption.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from waymeet.deployments.observation import Observation
from waymeet.http.authentication import Authenticator, parse_secret
from waymeet.locations.service import HEARTBEAT_SECONDS, HIGHEST_CAPACITY, NODE, SILENCE_SECONDS, LocationService
from waymeet.model.errors import Invalid, Unavailable
from waymeet.model.ids import DeploymentId, NodeName
from waymeet.model.node_messages import (
    Answer,
    FromNode,
    Heartbeat,
    Hello,
    SeenDelta,
    SeenFull,
    SeenPart,
    ToNode,
    WantedDelta,
    WantedFull,
    WantedPart,
    Welcome,
)
from waymeet.model.servers import ServerPhase, ServerReport, ServerSpec
from waymeet.wire import decode_from_node, encode, in_parts

HELLO_SECONDS = 10.0
POLL_SECONDS = 5.0
"""The safety net behind the node's bell."""
HIGHEST_TRACKED_QUESTIONS = 1_000
HIGHEST_KNOWN_SERVERS = 2 * HIGHEST_CAPACITY
"""Of one node: as many as it may run, and as many again that it is stopping."""
DEPLOYMENTS_PER_READ = 32
"""Specifications are read, sent and forgotten in batches: with the longest environments each takes megabytes."""

BAD_MESSAGE = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
SILENT = 4408
REPLACED = 4409
TRY_AGAIN = 1013

_log = logging.getLogger(__name__)


class Bells(Protocol):
    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]: ...


class NodeDoor:
    """The endpoint at `/nodes/connect`."""

    def __init__(
        self, authenticator: Authenticator, locations: LocationService, observation: Observation, bells: Bells
    ) -> None:
        self._authenticator = authenticator
        self._locations = locations
        self._observation = observation
        self._bells = bells

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one node until it goes. The close code and reason say why, in words meant for the node's operator."""
        await socket.accept()
        try:
            await self._serve(socket)
        except _Refused as refusal:
            await _close(socket, refusal.code, refusal.reason)
        except Invalid as error:
            await _close(socket, BAD_MESSAGE, error.message)
        except Unavailable as error:
            await _close(socket, TRY_AGAIN, error.message)
        except TimeoutError:
            await _close(socket, SILENT, f"nothing was heard for {SILENCE_SECONDS:g} s")
        except (WebSocketDisconnect, RuntimeError) as error:
            # Starlette raises RuntimeError when a message is sent on a socket that the other side closed meanwhile.
            if isinstance(error, RuntimeError) and socket.application_state is WebSocketState.CONNECTED:
                raise

    async def _serve(self, socket: WebSocket) -> None:
        credential = parse_secret(socket.headers.get("authorization", "").encode("latin-1"))
        caller = None if credential is None else await self._authenticator.caller(credential)
        if caller is None:
            raise _Refused(UNAUTHENTICATED, "this token is unknown; make one with `waymeet token create --scope node`")
        if "node" not in caller.scopes:
            raise _Refused(
                FORBIDDEN, "this token may not join nodes; make one with `waymeet token create --scope node`"
            )
        hello = await _receive(socket, HELLO_SECONDS)
        if not isinstance(hello, Hello):
            raise _Refused(BAD_MESSAGE, "the first message of a node is Hello")
        token = await self._locations.join(hello)
        name = NodeName(hello.name)
        _log.info("node %s: connected", name)
        try:
            await _Conversation(socket, name, token, self._locations, self._observation, self._bells).run()
        finally:
            _log.info("node %s: disconnected", name)
            # Shielded: a cancelled handler must still say that the node is gone.
            await asyncio.shield(self._leave(name, token))

    async def _leave(self, name: NodeName, token: str) -> None:
        try:
            await self._locations.leave(name, token)
        except Unavailable as error:
            _log.warning("a node's departure could not be recorded: %s", error.message, extra={"node": name})


class _Conversation:
    """What is said between Welcome and the end."""

    def __init__(
        self,
        socket: WebSocket,
        name: NodeName,
        token: str,
        locations: LocationService,
        observation: Observation,
        bells: Bells,
    ) -> None:
        self._socket = socket
        self._name = name
        self._token = token
        self._locations = locations
        self._observation = observation
        self._bells = bells
        self._rung = asyncio.Event()
        self._revision = 0
        self._told: set[str] = set()
        """Keys that the node was told to run and not yet told to stop."""
        self._known: set[str] = set()
        """Keys that the node was told of or has reported, and whose end is therefore for it to report."""
        self._asked: set[str] = set()

    async def run(self) -> None:
        silence = self._bells.listen(NODE, self._hear)
        try:
            await self._send(Welcome(HEARTBEAT_SECONDS))
            await self._hear_everything()
            await self._tell(full=True)
            async with asyncio.TaskGroup() as tasks:
                telling = tasks.create_task(self._keep_telling())
                try:
                    await self._listen()
                finally:
                    telling.cancel()
        except* (_Refused, Invalid, Unavailable, TimeoutError, WebSocketDisconnect, RuntimeError) as group:
            raise _first(group) from None
        finally:
            silence()

    def _hear(self, key: str | None) -> None:
        if key is None or key == self._name:
            self._rung.set()

    async def _hear_everything(self) -> None:
        """Until all is known that the node has: before that, nobody can say what it does not have."""
        while True:
            seen = await _receive(self._socket, HELLO_SECONDS)
            if not isinstance(seen, SeenPart | SeenFull):
                raise _Refused(BAD_MESSAGE, "after Welcome a node says what it sees: SeenFull")
            await self._see(seen.reports)
            if isinstance(seen, SeenFull):
                return

    async def _listen(self) -> None:
        while True:
            message = await _receive(self._socket, SILENCE_SECONDS)
            match message:
                case SeenPart() | SeenFull() | SeenDelta():
                    await self._see(message.reports)
                case Heartbeat():
                    if not await self._locations.heartbeat(self._name, self._token, message.load):
                        raise _Refused(REPLACED, f"another process has joined as node '{self._name}'")
                case Answer():
                    await self._locations.record_answer(message)
                case Hello():
                    raise _Refused(BAD_MESSAGE, "Hello is said once")

    async def _see(self, reports: tuple[ServerReport, ...]) -> None:
        self._known |= {report.key for report in reports if report.phase is not ServerPhase.ENDED}
        if len(self._known) > HIGHEST_KNOWN_SERVERS:
            raise _Refused(BAD_MESSAGE, f"a node reports at most {HIGHEST_KNOWN_SERVERS} servers")
        await self._observation.observe(self._name, reports)

    async def _keep_telling(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._rung.wait()
            except TimeoutError:
                pass
            self._rung.clear()
            await self._tell(full=False)
            await self._ask()

    async def _tell(self, *, full: bool) -> None:
        unfinished = await self._observation.unfinished(self._name)
        wanted = [key for key, is_wanted in unfinished.items() if is_wanted]
        added = [key for key in wanted if key not in self._told]
        removed = tuple(self._told.difference(wanted))
        stopping = unfinished.keys() - set(wanted)
        if stopping - self._known - self._told:
            # Stopped before the node ever heard of them.
            await self._observation.end_unknown(self._name, self._known | self._told)
        if full or added or removed:
            self._revision += 1
            if full:
                await self._send_full(added)
            else:
                await self._send_delta(added, removed)
        self._told = set(wanted)
        # Whoever has ended needs no memory any more; this keeps the set as small as the node.
        self._known = (self._known | self._told | set(removed)) & unfinished.keys()

    async def _send_full(self, wanted: Sequence[DeploymentId]) -> None:
        end: tuple[ServerSpec, ...] = ()
        async for part in self._parts(wanted):
            if end:
                await self._send(WantedPart(end))
            end = part
        await self._send(WantedFull(self._revision, end))

    async def _send_delta(self, added: Sequence[DeploymentId], removed: tuple[str, ...]) -> None:
        async for part in self._parts(added):
            await self._send(WantedDelta(self._revision, part, removed))
            removed = ()
        if removed:
            await self._send(WantedDelta(self._revision, (), removed))

    async def _parts(self, keys: Sequence[DeploymentId]) -> AsyncIterator[tuple[ServerSpec, ...]]:
        for start in range(0, len(keys), DEPLOYMENTS_PER_READ):
            for part in in_parts(await self._observation.servers(keys[start : start + DEPLOYMENTS_PER_READ])):
                yield part

    async def _ask(self) -> None:
        questions = await self._locations.open_questions(self._name)
        self._asked &= {question.id for question in questions}
        for question in questions:
            if question.id not in self._asked and len(self._asked) < HIGHEST_TRACKED_QUESTIONS:
                self._asked.add(question.id)
                await self._send(question)

    async def _send(self, message: ToNode) -> None:
        await self._socket.send_text(encode(message))


class _Refused(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def _receive(socket: WebSocket, seconds: float) -> FromNode:
    async with asyncio.timeout(seconds):
        return decode_from_node(await socket.receive_text())


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    _log.warning("node connection closed: %s", reason)
    try:
        # A close frame holds 123 bytes of reason (RFC 6455, 5.5).
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))
    except RuntimeError:
        pass  # The node was quicker.


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
