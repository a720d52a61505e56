"""The agent: keeps one node's servers as the control plane wants them, connected or not."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

import waymeet
from waymeet.drivers.base import Driver
from waymeet.model.errors import Invalid, NotFound, Unavailable
from waymeet.model.instant import Clock
from waymeet.model.node_messages import (
    PROTOCOL,
    Answer,
    BeaconPorts,
    FromNode,
    Heartbeat,
    Hello,
    Question,
    QuestionKind,
    RelaysDelta,
    RelaysFull,
    RelaysPart,
    SeenDelta,
    SeenFull,
    SeenPart,
    WantedDelta,
    WantedFull,
    WantedPart,
    Welcome,
)
from waymeet.model.servers import EndReason, ServerPhase, ServerReport
from waymeet.node.definition import NodeDefinition
from waymeet.node.probing import ProbeQuestions, Prober
from waymeet.node.reconnecting import SOUND_SECONDS, Ending, Reconnecting, ending_of
from waymeet.node.relay import Relay, RelayConversation
from waymeet.node.wanted import Wanted
from waymeet.wire import MESSAGE_BYTES, decode_to_node, encode, in_parts

log = logging.getLogger(__name__)

_CLOSE_GARBAGE = 1002

FAILURES_WORTH_TELLING = 5


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Times in seconds."""

    remember_ended: float = 30.0
    """How long the end of a server that is no longer wanted is repeated after it was told: a control plane that fell
    over with the report in its hands hears it again."""
    open_timeout: float = 10.0
    """For the connection, and again for the control plane's welcome."""
    ping_interval: float = 10.0
    """Between questions whether the control plane is there; unanswered for as long, the connection counts as lost."""
    flush: float = 1.0
    """For the last reports to get away before the node exits."""


class Agent:
    """One node.

    Servers depend on neither the agent nor its connection: they run on when either is gone. The agent acts on what is
    wanted only while it knows that, from the first `WantedFull` of a connection to the connection's end. A server that
    ended is never started again by the agent, wanted or not: what follows from an end is for the control plane to say.
    """

    def __init__(
        self,
        definition: NodeDefinition,
        driver: Driver,
        *,
        clock: Clock,
        reconnecting: Reconnecting,
        settings: AgentSettings | None = None,
        beacon: BeaconPorts | None = None,
        prober: Prober | None = None,
        relay: Relay | None = None,
    ) -> None:
        self._definition = definition
        self._driver = driver
        self._clock = clock
        self._reconnecting = reconnecting
        self._settings = settings or AgentSettings()
        self._beacon = beacon
        self._prober = prober
        self._relay = relay
        self._wanted = Wanted()
        self._reports: Mapping[str, ServerReport] = {}
        self._met = False
        """Whether the control plane has ever welcomed this agent."""
        self._failures = 0
        """Connections that failed one after another, or ended, without one that was welcomed."""
        self._never_started: dict[str, ServerReport] = {}
        """Servers that were wanted and dropped again before their start came up; the control plane waits for their end."""
        self._told: dict[str, tuple[ServerReport, float]] = {}
        """What was sent on this connection, and when."""
        self._stirred = asyncio.Event()
        self._looked = asyncio.Event()
        self._flushed = asyncio.Event()
        self._stop_within: float | None = None
        self._stopped = asyncio.Event()

    @property
    def name(self) -> str:
        return self._definition.name

    async def run(self) -> NoReturn:
        """Open the driver and look after the node until cancelled, which leaves its servers running.

        Raises `Unavailable` when the driver cannot be used.
        """
        await self._driver.open()
        try:
            if self._prober is not None:
                self._prober.open()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tend())
                tasks.create_task(self._stay_connected())
            raise AssertionError("unreachable: both tasks go on for ever")
        finally:
            if self._prober is not None:
                self._prober.close()
            await self._driver.close()

    async def stop_servers(self, grace_seconds: float) -> None:
        """Stop every server and start none any more. Returns when all have ended and that is reported, if connected.

        Each gets the grace period of its spec, at most `grace_seconds`. Needs `run` in another task.
        """
        self._stop_within = grace_seconds
        self._stirred.set()
        await self._stopped.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.flush):
                await self._flushed.wait()

    async def _tend(self) -> NoReturn:
        """Make the servers those that are wanted."""
        while True:
            self._stirred.clear()
            seen = {report.key: report for report in await self._driver.look()}
            for key in self._wanted.take_dropped() - seen.keys():
                self._never_started[key] = ServerReport(key, ServerPhase.ENDED, end_reason=EndReason.STOPPED)
            self._reports = self._never_started | seen
            self._flushed.clear()
            self._looked.set()
            again = None
            if self._stop_within is not None:
                await self._stop_all(self._stop_within)
            elif self._wanted.servers is not None:
                again = await self._reconcile()
            await self._wait(again)

    async def _stop_all(self, grace_seconds: float) -> None:
        left = [report.key for report in self._reports.values() if report.phase is not ServerPhase.ENDED]
        for key in left:
            await self._driver.stop(key, grace_seconds)
        if not left:
            self._stopped.set()

    async def _reconcile(self) -> float | None:
        """Start, stop and forget what has to be; in how many seconds to come back at the latest, if at all."""
        # As of now: the control plane may want something else while a driver takes its time, and stirs us then.
        wanted = dict(self._wanted.servers or {})
        for key, spec in wanted.items():
            if key not in self._reports:
                await self._driver.start(spec)
        again: float | None = None
        now = self._clock.monotonic()
        for key, report in self._reports.items():
            if key in wanted:
                continue
            if report.phase in (ServerPhase.STARTING, ServerPhase.READY):
                await self._driver.stop(key)
            elif report.phase is ServerPhase.ENDED:
                told, told_at = self._told.get(key, (None, now))
                remaining = told_at + self._settings.remember_ended - now
                if told == report and remaining <= 0:
                    await self._driver.forget(key)
                    self._never_started.pop(key, None)
                    remaining = 1.0  # Should the driver not have been able to yet.
                if told == report:
                    again = remaining if again is None else min(again, remaining)
        return again

    async def _wait(self, seconds: float | None) -> None:
        """Until the driver sees a change, something stirs us, or `seconds` have passed. A driver's failure is ours."""
        sources = (asyncio.ensure_future(self._driver.changed()), asyncio.ensure_future(self._stirred.wait()))
        try:
            await asyncio.wait(sources, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for source in sources:
                source.cancel()
            ended = await asyncio.gather(*sources, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _stay_connected(self) -> NoReturn:
        await self._looked.wait()
        while True:
            began = self._clock.monotonic()
            ending = await self._connect_once()
            self._wanted.unknown()
            self._told.clear()
            lasted = self._clock.monotonic() - began
            wait = self._reconnecting.wait_seconds(ending, lasted)
            if lasted >= SOUND_SECONDS or ending is not Ending.LOST:
                log.info("node %s: connecting again in %.1f s", self._definition.name, wait)
            await asyncio.sleep(wait)

    async def _connect_once(self) -> Ending:
        """One connection from its beginning to its end."""
        name = self._definition.name
        try:
            async with self._connection() as connection:
                await self._converse(connection)
        except InvalidStatus as error:
            ending = ending_of(error.response.status_code)
            reason = f"the control plane answered {error.response.status_code}"
        except ConnectionClosed as error:
            received = error.rcvd
            ending = ending_of(received.code if received else None)
            reason = received.reason or f"closed with code {received.code}" if received else "the connection broke"
        except Invalid as error:
            ending, reason = Ending.LOST, f"the control plane said what no node understands: {error.message}"
        except Unavailable as error:
            ending, reason = Ending.LOST, error.message
        except (OSError, TimeoutError, WebSocketException) as error:
            ending, reason = Ending.LOST, str(error) or type(error).__name__
        if ending is Ending.REFUSED:
            log.error(
                "node %s: its token is not accepted (%s); make one with `waymeet token create` and give it to the node",
                name,
                reason,
            )
        elif ending is Ending.REPLACED:
            log.error("node %s: another node connected under this name; give each node a name of its own", name)
        else:
            self._failures += 1
            # Node and control plane often start together: the first refusals are no news.
            level = logging.WARNING if self._failures >= FAILURES_WORTH_TELLING or self._met else logging.DEBUG
            log.log(level, "node %s: not connected to %s: %s", name, self._definition.control_plane_url, reason)
        return ending

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[ClientConnection]:
        connection = await connect(
            self._definition.connect_url,
            additional_headers={"Authorization": f"token {self._definition.token}"},
            user_agent_header=f"waymeet-node/{waymeet.__version__}",
            open_timeout=self._settings.open_timeout,
            ping_interval=self._settings.ping_interval,
            ping_timeout=self._settings.ping_interval,
            close_timeout=self._settings.flush,
            max_size=MESSAGE_BYTES,
            # A proxy of the environment is for the way out of this machine.
            proxy=None if self._definition.is_control_plane_local else True,
            # Many small messages, often over loopback: deflate would cost memory on both sides and save nothing.
            compression=None,
        )
        try:
            yield connection
        except Invalid as error:
            await connection.close(_CLOSE_GARBAGE, error.message.encode()[:120].decode(errors="ignore"))
            raise
        finally:
            await connection.close()

    async def _converse(self, connection: ClientConnection) -> NoReturn:
        """Say hello, then report, answer and listen until the connection ends, which raises."""
        await self._send(connection, self._hello())
        async with asyncio.timeout(self._settings.open_timeout):
            welcome = decode_to_node(await connection.recv())
        if not isinstance(welcome, Welcome):
            raise Invalid({"type": "expected welcome as the first answer"})
        if not 0.01 <= welcome.heartbeat_seconds <= 3600:
            raise Invalid({"heartbeat_seconds": f"{welcome.heartbeat_seconds} is not within 0.01 to 3600"})
        self._failures, self._met = 0, True
        log.info("node %s: connected to %s", self._definition.name, self._definition.control_plane_url)
        relaying = None
        if self._relay is not None:
            relaying = RelayConversation(self._relay, lambda message: self._send(connection, message))
        tasks: list[asyncio.Future[NoReturn]] = [
            asyncio.ensure_future(self._listen(connection, relaying)),
            asyncio.ensure_future(self._report(connection)),
            asyncio.ensure_future(self._beat(connection, welcome.heartbeat_seconds)),
        ]
        if relaying is not None:
            tasks += [asyncio.ensure_future(relaying.obey()), asyncio.ensure_future(relaying.report())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        raise next(filter(None, (task.exception() for task in done)))

    async def _listen(self, connection: ClientConnection, relaying: RelayConversation | None) -> NoReturn:
        probes = ProbeQuestions(self._prober, lambda answer: self._send(connection, answer))
        try:
            while True:
                match decode_to_node(await connection.recv()):
                    case WantedPart() as message:
                        self._wanted.begin(message)
                    case WantedFull() as message:
                        self._wanted.replace(message)
                        self._stirred.set()
                    case WantedDelta() as message:
                        self._wanted.apply(message)
                        self._stirred.set()
                    case (RelaysPart() | RelaysFull() | RelaysDelta()) as message:
                        if relaying is None:
                            raise Invalid({"type": "this node has no relay"})
                        await relaying.hear(message)
                    case Question(kind=QuestionKind.PROBE) as message:
                        probes.take(message)
                    case Question() as message:
                        await self._send(connection, await self._answer(message))
                    case Welcome():
                        raise Invalid({"type": "welcome came twice"})
        finally:
            await probes.close()

    async def _answer(self, question: Question) -> Answer:
        try:
            if question.kind is QuestionKind.RELAY:
                if self._relay is None:
                    return Answer(question.id, error="this node has no relay")
                return await self._relay.answer(question)
            if question.kind is QuestionKind.LOGS:
                return Answer(question.id, logs=await self._driver.logs(question.key))
            return Answer(question.id, readings=tuple(await self._driver.readings(question.key)))
        except NotFound as error:
            return Answer(question.id, error=error.message)

    async def _report(self, connection: ClientConnection) -> NoReturn:
        """Send everything once, then what changes. Changes that come while one message leaves share the next."""
        full = True
        while True:
            self._looked.clear()
            reports = self._reports
            news = tuple(report for key, report in reports.items() if full or self._told.get(key, _NEVER)[0] != report)
            parts = list(in_parts(news))
            if full:
                *beginning, end = parts or [()]
                for part in beginning:
                    await self._send(connection, SeenPart(part))
                await self._send(connection, SeenFull(end))
                full = False
            else:
                for part in parts:
                    await self._send(connection, SeenDelta(part))
            now = self._clock.monotonic()
            for report in news:
                self._told[report.key] = (report, now)
            for key in self._told.keys() - reports.keys():
                del self._told[key]
            if any(report.phase is ServerPhase.ENDED for report in news):
                self._stirred.set()  # From now on those may be forgotten in due time.
            if reports is self._reports:
                self._flushed.set()
            await self._looked.wait()

    async def _beat(self, connection: ClientConnection, seconds: float) -> NoReturn:
        while True:
            await asyncio.sleep(seconds)
            relay = None if self._relay is None else await self._relay.load()
            await self._send(connection, Heartbeat(load=os.getloadavg()[0] / (os.cpu_count() or 1), relay=relay))

    async def _send(self, connection: ClientConnection, message: FromNode) -> None:
        await connection.send(encode(message))

    def _hello(self) -> Hello:
        definition = self._definition
        return Hello(
            protocol=PROTOCOL,
            name=definition.name,
            roles=definition.roles,
            driver=definition.driver,
            address=definition.address,
            location=definition.location,
            capacity=definition.capacity,
            tags=dict(definition.tags),
            region=definition.region,
            images=self._driver.images,
            version=waymeet.__version__,
            beacon=self._beacon,
            probes=self._prober is not None and self._prober.able,
            relay=None if self._relay is None else self._relay.ports,
            relay_capacity=0 if self._relay is None else self._relay.capacity,
        )


_NEVER: tuple[ServerReport | None, float] = (None, 0.0)
