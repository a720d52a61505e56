"""What a node and the control plane say to each other between Welcome and the end.

`listen` applies what the node reports; `tell` waits for the node's bell and sends what changed. Nothing here is state
that only this process has: both sides start again from the store and from the node's own report after any interruption.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from waymeet.deployments.observation import Observation
from waymeet.http.nodes.frames import BAD_MESSAGE, REPLACED, Refused, receive, send
from waymeet.http.nodes.relaying import Relaying
from waymeet.locations.hello import HIGHEST_CAPACITY
from waymeet.locations.service import HEARTBEAT_SECONDS, NODE, SILENCE_SECONDS, LocationService
from waymeet.model.errors import Invalid, Unavailable
from waymeet.model.ids import DeploymentId, NodeName
from waymeet.model.node_messages import (
    Answer,
    Heartbeat,
    Hello,
    RelaysApplied,
    RelaysHostless,
    RelaysIdle,
    SeenDelta,
    SeenFull,
    SeenPart,
    WantedDelta,
    WantedFull,
    WantedPart,
    Welcome,
)
from waymeet.model.servers import ServerPhase, ServerReport, ServerSpec
from waymeet.wire import in_parts

HELLO_SECONDS = 10.0
"""For the node's hello, and again for its full report."""
POLL_SECONDS = 5.0
"""The safety net behind the node's bell."""
HIGHEST_TRACKED_QUESTIONS = 1_000
HIGHEST_KNOWN_SERVERS = 2 * HIGHEST_CAPACITY
"""Of one node: as many as it may run, and as many again that it is stopping."""
DEPLOYMENTS_PER_READ = 32
"""Specifications are read, sent and forgotten in batches: with the longest environments each takes megabytes."""


class Bells(Protocol):
    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]: ...


class Conversation:
    """One node's, from Welcome on."""

    def __init__(
        self,
        socket: WebSocket,
        name: NodeName,
        token: str,
        locations: LocationService,
        observation: Observation,
        bells: Bells,
        relaying: Relaying | None = None,
    ) -> None:
        """`relaying` for a node that has a relay."""
        self._socket = socket
        self._name = name
        self._token = token
        self._locations = locations
        self._observation = observation
        self._bells = bells
        self._relaying = relaying
        self._rung = asyncio.Event()
        self._revision = 0
        self._told: set[str] = set()
        """Keys that the node was told to run and not yet told to stop."""
        self._known: set[str] = set()
        """Keys that the node was told of or has reported, and whose end is therefore for it to report."""
        self._asked: set[str] = set()

    async def run(self) -> None:
        """Until it ends, which raises: `Refused`, `Invalid`, `Unavailable`, `TimeoutError`, `WebSocketDisconnect` or, when
        the node closed while it was being told something, `RuntimeError`.
        """
        silence = self._bells.listen(NODE, self._hear)
        try:
            await send(self._socket, Welcome(HEARTBEAT_SECONDS))
            await self._hear_everything()
            await self._tell(full=True)
            async with asyncio.TaskGroup() as tasks:
                telling = [tasks.create_task(self._keep_telling())]
                if self._relaying is not None:
                    telling.append(tasks.create_task(self._relaying.tell()))
                try:
                    await self._listen()
                finally:
                    for task in telling:
                        task.cancel()
        except* (Refused, Invalid, Unavailable, TimeoutError, WebSocketDisconnect, RuntimeError) as group:
            raise _first(group) from None
        finally:
            silence()

    def _hear(self, key: str | None) -> None:
        if key is None or key == self._name:
            self._rung.set()

    async def _hear_everything(self) -> None:
        """Until all is known that the node has: before that, nobody can say what it does not have."""
        while True:
            seen = await receive(self._socket, HELLO_SECONDS)
            if not isinstance(seen, SeenPart | SeenFull):
                raise Refused(BAD_MESSAGE, "after Welcome a node says what it sees: SeenFull")
            await self._see(seen.reports)
            if isinstance(seen, SeenFull):
                return

    async def _listen(self) -> None:
        while True:
            message = await receive(self._socket, SILENCE_SECONDS)
            match message:
                case SeenPart() | SeenFull() | SeenDelta():
                    await self._see(message.reports)
                case Heartbeat():
                    if not await self._locations.heartbeat(self._name, self._token, message.load):
                        raise Refused(REPLACED, f"another process has joined as node '{self._name}'")
                    if message.relay is not None:
                        await self._own_relay().record(message.relay)
                case Answer():
                    await self._locations.record_answer(message)
                case RelaysApplied() | RelaysIdle() | RelaysHostless():
                    await self._own_relay().listen(message)
                case Hello():
                    raise Refused(BAD_MESSAGE, "Hello is said once")

    def _own_relay(self) -> Relaying:
        if self._relaying is None:
            raise Refused(BAD_MESSAGE, "a node that speaks of its relay says in its Hello where that answers")
        return self._relaying

    async def _see(self, reports: tuple[ServerReport, ...]) -> None:
        self._known |= {report.key for report in reports if report.phase is not ServerPhase.ENDED}
        if len(self._known) > HIGHEST_KNOWN_SERVERS:
            raise Refused(BAD_MESSAGE, f"a node reports at most {HIGHEST_KNOWN_SERVERS} servers")
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
                await send(self._socket, WantedPart(end))
            end = part
        await send(self._socket, WantedFull(self._revision, end))

    async def _send_delta(self, added: Sequence[DeploymentId], removed: tuple[str, ...]) -> None:
        async for part in self._parts(added):
            await send(self._socket, WantedDelta(self._revision, part, removed))
            removed = ()
        if removed:
            await send(self._socket, WantedDelta(self._revision, (), removed))

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
                await send(self._socket, question)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
