"""The agent against a control plane that says exactly what each test needs."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.node.fakes import FakeControlPlane, FakeDriver, control_plane
from tests.polling import GENEROUS_SECONDS, eventually_async
from waymeet.clock import SystemClock
from waymeet.model.latency import ProbeResult
from waymeet.model.location import Location
from waymeet.model.node_messages import (
    PROTOCOL,
    Answer,
    Hello,
    Question,
    QuestionKind,
    Role,
    SeenDelta,
    SeenFull,
    SeenPart,
    WantedDelta,
    WantedFull,
    WantedPart,
    Welcome,
)
from waymeet.model.servers import CRASH_LOG_BYTES, EndReason, ServerPhase, ServerReport, ServerSpec
from waymeet.node.agent import Agent, AgentSettings
from waymeet.node.definition import NodeDefinition
from waymeet.node.probing import Prober, ProbeRules
from waymeet.node.probing.questions import MOST_AT_ONCE
from waymeet.node.reconnecting import Reconnecting
from waymeet.wire import MESSAGE_BYTES

pytestmark = pytest.mark.anyio

MONTREAL = Location("Montreal", "Canada", "North America", "Quebec", "Eastern Time", 45.5, -73.56)


def spec(key: str) -> ServerSpec:
    return ServerSpec(key, "docker.io", "waymeet/echo", "1.0")


def definition(url: str) -> NodeDefinition:
    return NodeDefinition(
        name="montreal",
        control_plane_url=url,
        token="secret",
        address="127.0.0.2",
        location=MONTREAL,
        data_directory=Path("/nowhere"),
        capacity=7,
        tags={"tier": "gold"},
        region="ca",
    )


@asynccontextmanager
async def running(
    plane: FakeControlPlane,
    driver: FakeDriver,
    remember_ended: float = 0.0,
    long_seconds: float = 60.0,
    prober: Prober | None = None,
) -> AsyncIterator[Agent]:
    agent = Agent(
        definition(plane.url),
        driver,
        clock=SystemClock(),
        reconnecting=Reconnecting(random.Random(1), refused_seconds=long_seconds, replaced_seconds=long_seconds),
        settings=AgentSettings(remember_ended=remember_ended),
        prober=prober,
    )
    task = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()


@pytest.fixture
async def plane(anyio_backend: str) -> AsyncIterator[FakeControlPlane]:
    async with control_plane() as plane:
        yield plane


@pytest.fixture
def driver(anyio_backend: str) -> FakeDriver:
    return FakeDriver()


async def asked(driver: FakeDriver, call: str, *keys: str) -> None:
    """Wait until the driver was asked for exactly that."""

    async def check() -> bool:
        return sorted(driver.asked(call)) == sorted(keys)

    await eventually_async(check, every=0.005)


async def test_it_says_who_it_is_before_anything_else(plane: FakeControlPlane, driver: FakeDriver) -> None:
    async with running(plane, driver):
        conversation = await plane.conversation()
        assert conversation.authorization == "token secret"
        hello = await conversation.receive()
    assert isinstance(hello, Hello)
    assert (hello.protocol, hello.name, hello.roles) == (PROTOCOL, "montreal", (Role.SERVER,))
    assert (hello.driver, hello.address, hello.location) == ("process", "127.0.0.2", MONTREAL)
    assert (hello.capacity, hello.tags, hello.region) == (7, {"tier": "gold"}, "ca")
    assert hello.images == ("waymeet/echo",)


async def test_it_starts_what_is_wanted_and_stops_what_is_not(plane: FakeControlPlane, driver: FakeDriver) -> None:
    driver.see(ServerReport("old", ServerPhase.READY))
    driver.see(ServerReport("kept", ServerPhase.READY))
    async with running(plane, driver, remember_ended=60):
        conversation = await plane.conversation()
        seen = await conversation.welcome()
        assert {report.key for report in seen.reports} == {"old", "kept"}
        await conversation.send(WantedFull(1, (spec("kept"), spec("new"))))
        await conversation.seen("old", ServerPhase.ENDED)
        await asked(driver, "start", "new")
        await asked(driver, "stop", "old")
        await conversation.send(WantedDelta(2, servers=(spec("newer"),), removed=("kept",)))
        await conversation.seen("kept", ServerPhase.ENDED)
        await asked(driver, "start", "new", "newer")
        await asked(driver, "stop", "old", "kept")


async def test_it_reports_changes_and_only_those(plane: FakeControlPlane, driver: FakeDriver) -> None:
    driver.see(ServerReport("quiet", ServerPhase.READY))
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        report = ServerReport("loud", ServerPhase.READY, restart_count=3)
        driver.see(report)
        assert await conversation.receive() == SeenDelta((report,))


async def test_it_beats_as_often_as_it_was_told(plane: FakeControlPlane, driver: FakeDriver) -> None:
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.receive()
        await conversation.send(Welcome(0.01))
        assert (await conversation.heartbeat()).load is not None
        await conversation.heartbeat()


async def test_nothing_is_stopped_before_the_full_wanted_set_is_known(
    plane: FakeControlPlane, driver: FakeDriver
) -> None:
    driver.see(ServerReport("running", ServerPhase.READY))
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        driver.see(ServerReport("running", ServerPhase.READY, restart_count=1))
        await conversation.seen("running", ServerPhase.READY)
        assert driver.asked("stop") == []
        # And a later connection has to say it anew, though the first one had said it.
        await conversation.send(WantedFull(1, (spec("running"),)))
        conversation.drop()
        conversation = await plane.conversation()
        await conversation.welcome()
        driver.see(ServerReport("stranger", ServerPhase.READY))
        await conversation.seen("stranger", ServerPhase.READY)
        assert driver.asked("stop") == []
        await conversation.send(WantedFull(2, (spec("running"),)))
        await asked(driver, "stop", "stranger")


async def test_a_full_set_in_parts_counts_from_its_end(plane: FakeControlPlane, driver: FakeDriver) -> None:
    driver.see(ServerReport("kept", ServerPhase.READY))
    driver.see(ServerReport("old", ServerPhase.READY))
    async with running(plane, driver, remember_ended=60):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedPart((spec("kept"),)), WantedPart((spec("new"),)))
        driver.see(ServerReport("kept", ServerPhase.READY, restart_count=1))
        await conversation.seen("kept", ServerPhase.READY)
        assert driver.asked("start") == driver.asked("stop") == []
        # What came before a lost connection is no part of what the next one says.
        conversation.drop()
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedPart((spec("kept"),)), WantedFull(1, (spec("newer"),)))
        await asked(driver, "stop", "old")
        await asked(driver, "start", "newer")
        # Nor do parts count twice.
        await conversation.send(WantedFull(2, (spec("newer"),)))
        await asked(driver, "stop", "old", "kept")


async def test_a_report_on_many_servers_comes_in_parts(plane: FakeControlPlane, driver: FakeDriver) -> None:
    log = "\x01" * CRASH_LOG_BYTES
    ended = {
        str(key): ServerReport(str(key), ServerPhase.ENDED, end_reason=EndReason.CRASHED, crash_log=log)
        for key in range(2 * MESSAGE_BYTES // (6 * CRASH_LOG_BYTES))
    }
    driver.reports |= ended
    async with running(plane, driver, remember_ended=60):
        conversation = await plane.conversation()
        await conversation.receive()
        await conversation.send(Welcome(60.0))
        seen: dict[str, ServerReport] = {}
        while isinstance(message := await conversation.receive(), SeenPart):
            seen |= {report.key: report for report in message.reports}
        assert isinstance(message, SeenFull)
        assert seen | {report.key: report for report in message.reports} == ended
        # So do changes.
        changed = {key: replace(report, restart_count=1) for key, report in ended.items()}
        driver.reports |= changed
        driver.see(changed["0"])
        seen = {}
        while seen.keys() != ended.keys():
            message = await conversation.receive()
            assert isinstance(message, SeenDelta)
            seen |= {report.key: report for report in message.reports}
        assert seen == changed


async def test_an_ended_server_is_kept_while_wanted_and_never_started_again(
    plane: FakeControlPlane, driver: FakeDriver
) -> None:
    crashed = ServerReport("crashed", ServerPhase.ENDED, end_reason=EndReason.CRASHED, exit_code=1)
    driver.see(crashed)
    async with running(plane, driver):
        for revision in (1, 2):
            conversation = await plane.conversation()
            assert crashed in (await conversation.welcome()).reports
            await conversation.send(WantedFull(revision, (spec("crashed"), spec("proof-1"), spec(f"proof-{revision}"))))
            await conversation.seen(f"proof-{revision}", ServerPhase.STARTING)
            conversation.drop()
        assert "crashed" not in driver.asked("start")
        assert driver.asked("forget") == []
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedFull(3, (spec("proof-1"), spec("proof-2"))))
        await asked(driver, "forget", "crashed")


async def test_an_end_is_repeated_for_a_while_after_it_was_told(plane: FakeControlPlane, driver: FakeDriver) -> None:
    ended = ServerReport("ended", ServerPhase.ENDED, end_reason=EndReason.STOPPED)
    driver.see(ended)
    async with running(plane, driver, remember_ended=60):
        for revision in (1, 2):
            conversation = await plane.conversation()
            assert ended in (await conversation.welcome()).reports
            await conversation.send(WantedFull(revision, (spec("proof-1"), spec(f"proof-{revision}"))))
            await conversation.seen(f"proof-{revision}", ServerPhase.STARTING)
            conversation.drop()
    assert driver.asked("forget") == []


@pytest.mark.parametrize(
    "garbage",
    [
        "{",
        '{"type":"hello"}',
        '{"type":"wanted_full","revision":1,"servers":[{"key":1}]}',
        '{"type":"wanted_delta","revision":1}',
        '{"type":"welcome","heartbeat_seconds":1}',
    ],
    ids=["no_json", "wrong_side", "wrong_type", "delta_first", "welcome_twice"],
)
async def test_garbage_ends_the_connection_and_harms_no_server(
    plane: FakeControlPlane, driver: FakeDriver, garbage: str
) -> None:
    driver.see(ServerReport("running", ServerPhase.READY))
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send_text(garbage)
        await asyncio.wait_for(conversation.ended.wait(), GENEROUS_SECONDS)
        assert conversation.close_code == 1002
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedFull(1, (spec("running"), spec("new"))))
        await asked(driver, "start", "new")
    assert driver.asked("stop") == []


async def test_a_welcome_that_is_none_ends_the_connection(plane: FakeControlPlane, driver: FakeDriver) -> None:
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.receive()
        await conversation.send(WantedFull(1, ()))
        await asyncio.wait_for(conversation.ended.wait(), GENEROUS_SECONDS)
        await (await plane.conversation()).welcome()


async def test_a_revision_that_runs_backwards_asks_for_a_new_start(plane: FakeControlPlane, driver: FakeDriver) -> None:
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedFull(5, ()), WantedDelta(4, servers=(spec("late"),)))
        await asyncio.wait_for(conversation.ended.wait(), GENEROUS_SECONDS)
    assert driver.asked("start") == []


async def test_questions_are_answered_also_those_about_nobody(plane: FakeControlPlane, driver: FakeDriver) -> None:
    driver.see(ServerReport("running", ServerPhase.READY))
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(Question("1", QuestionKind.LOGS, "running"))
        answer = await conversation.receive()
        assert isinstance(answer, Answer)
        assert answer.id == "1"
        assert answer.logs is not None
        assert answer.logs.text == "output of running"
        await conversation.send(Question("2", QuestionKind.READINGS, "nobody"))
        assert await conversation.receive() == Answer("2", error="no server 'nobody' on this node")


@pytest.mark.parametrize("code", [4401, 4403, 4409])
async def test_a_refused_or_replaced_node_keeps_its_servers_and_comes_back_late(
    plane: FakeControlPlane, driver: FakeDriver, code: int
) -> None:
    driver.see(ServerReport("running", ServerPhase.READY))
    async with running(plane, driver, long_seconds=0.3):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.close(code, "not you")
        await (await plane.conversation()).welcome()
    assert driver.asked("stop") == []


async def test_a_refused_or_replaced_node_does_not_come_back_soon(plane: FakeControlPlane, driver: FakeDriver) -> None:
    async with running(plane, driver, long_seconds=3600):
        await (await plane.conversation()).close(4409, "replaced")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await plane.conversation()


async def test_a_driver_that_has_failed_ends_the_agent(plane: FakeControlPlane, driver: FakeDriver) -> None:
    agent = Agent(definition(plane.url), driver, clock=SystemClock(), reconnecting=Reconnecting(random.Random(1)))
    task = asyncio.create_task(agent.run())
    conversation = await plane.conversation()
    await conversation.welcome()
    driver.fail(RuntimeError("lost sight of everything"))
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(task, GENEROUS_SECONDS)
    assert raised.group_contains(RuntimeError, match="lost sight of everything")
    assert driver.calls[-1] == ("close", "")
    assert driver.asked("stop") == []


async def test_servers_are_stopped_on_request_and_their_ends_reported(
    plane: FakeControlPlane, driver: FakeDriver
) -> None:
    driver.see(ServerReport("one", ServerPhase.READY))
    driver.see(ServerReport("two", ServerPhase.STARTING))
    async with running(plane, driver) as agent:
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedFull(1, (spec("one"), spec("two"))))
        stopping = asyncio.create_task(agent.stop_servers(8.0))
        await conversation.seen("two", ServerPhase.ENDED)
        async with asyncio.timeout(GENEROUS_SECONDS):
            await stopping
    assert sorted(driver.asked("stop")) == ["one", "two"]
    assert set(driver.graces) == {8.0}
    assert driver.asked("start") == []


async def test_stopping_waits_for_servers_that_take_their_time(plane: FakeControlPlane, driver: FakeDriver) -> None:
    driver.stops_take_effect = False
    driver.see(ServerReport("slow", ServerPhase.READY))
    async with running(plane, driver) as agent:
        stopping = asyncio.create_task(agent.stop_servers(8.0))
        await asked(driver, "stop", "slow")
        assert not stopping.done()
        driver.stops_take_effect = True
        driver.see(ServerReport("slow", ServerPhase.ENDED, end_reason=EndReason.STOPPED))
        async with asyncio.timeout(GENEROUS_SECONDS):
            await stopping


async def test_cancelling_leaves_servers_alone(plane: FakeControlPlane, driver: FakeDriver) -> None:
    driver.see(ServerReport("running", ServerPhase.READY))
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedFull(1, (spec("running"),)))
    assert driver.asked("stop") == []
    assert driver.calls[-1] == ("close", "")


async def test_it_keeps_trying_while_there_is_no_control_plane(driver: FakeDriver) -> None:
    async with control_plane() as first:
        pass
    async with running(first, driver):
        port = int(first.url.rpartition(":")[2])
        async with control_plane(port=port) as second:
            await (await second.conversation()).welcome()


async def test_a_server_dropped_before_it_was_started_is_reported_as_ended(plane: FakeControlPlane) -> None:
    driver = FakeDriver()
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        # Both in one go: the agent may hear of the end of the wish before it has acted on its beginning.
        await conversation.send(WantedFull(1, ()), WantedDelta(2, (spec("short"),), ()), WantedDelta(3, (), ("short",)))
        ended = await conversation.seen("short", ServerPhase.ENDED)
        assert ended.end_reason is EndReason.STOPPED
        # Told, it is forgotten: nothing about it is kept for ever.
        await conversation.send(WantedDelta(4, (spec("next"),), ()))
        await conversation.seen("next", ServerPhase.STARTING)

        async def forgotten() -> bool:
            return "short" in driver.asked("forget")

        await eventually_async(forgotten)


class SlowDriver(FakeDriver):
    """A driver whose starts wait for `gate`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def start(self, spec: ServerSpec) -> None:
        self.calls.append(("begin", spec.key))
        await self.gate.wait()
        await super().start(spec)


async def test_what_is_wanted_may_change_while_a_server_takes_its_time_to_start(plane: FakeControlPlane) -> None:
    driver = SlowDriver()
    async with running(plane, driver):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(WantedFull(1, (spec("a"), spec("b"))))
        await asked(driver, "begin", "a")
        await conversation.send(WantedDelta(2, (spec("c"),), ("b",)), Question("q", QuestionKind.LOGS, "nobody"))
        while not isinstance(await conversation.receive(), Answer):
            pass  # Once the question is answered, what came before it has been taken in.
        driver.gate.set()
        await conversation.seen("b", ServerPhase.ENDED)
        await asked(driver, "start", "a", "b", "c")
        await asked(driver, "stop", "b")


class SlowProber(Prober):
    """Finds nothing out before a test says so."""

    def __init__(self) -> None:
        super().__init__(ProbeRules(), SystemClock(), random.Random(1))
        self.asked: list[tuple[str, ...]] = []
        self.found = asyncio.Event()

    async def probe(self, addresses: Sequence[str]) -> tuple[ProbeResult, ...]:
        self.asked.append(tuple(addresses))
        await self.found.wait()
        return tuple(ProbeResult(address, (20.5,)) for address in addresses)


async def test_probing_keeps_nothing_else_waiting(plane: FakeControlPlane, driver: FakeDriver) -> None:
    driver.see(ServerReport("running", ServerPhase.READY))
    prober = SlowProber()
    async with running(plane, driver, prober=prober):
        conversation = await plane.conversation()
        hello = await conversation.receive()
        assert isinstance(hello, Hello)
        assert hello.probes
        await conversation.send(Welcome(60.0))
        await conversation.receive()
        await conversation.send(Question("1", QuestionKind.PROBE, "", ("8.8.8.8", "8.8.4.4")))
        await conversation.send(Question("2", QuestionKind.LOGS, "running"))
        logs = await conversation.receive()
        assert isinstance(logs, Answer)
        assert logs.id == "2"
        prober.found.set()
        assert await conversation.receive() == Answer(
            "1", probes=(ProbeResult("8.8.8.8", (20.5,)), ProbeResult("8.8.4.4", (20.5,)))
        )


async def test_more_questions_than_can_be_answered_find_nothing_out(
    plane: FakeControlPlane, driver: FakeDriver
) -> None:
    prober = SlowProber()
    async with running(plane, driver, prober=prober):
        conversation = await plane.conversation()
        await conversation.welcome()
        for number in range(MOST_AT_ONCE + 1):
            await conversation.send(Question(str(number), QuestionKind.PROBE, "", ("8.8.8.8",)))
        assert await conversation.receive() == Answer(str(MOST_AT_ONCE), probes=())
        # A connection that breaks meanwhile takes its questions along, and nothing else.
        conversation.drop()
        conversation = await plane.conversation()
        await conversation.welcome()
        prober.found.set()
        await conversation.send(Question("again", QuestionKind.PROBE, "", ("8.8.8.8",)))
        assert await conversation.receive() == Answer("again", probes=(ProbeResult("8.8.8.8", (20.5,)),))


async def test_a_node_that_does_not_probe_says_so(plane: FakeControlPlane, driver: FakeDriver) -> None:
    async with running(plane, driver):
        conversation = await plane.conversation()
        hello = await conversation.receive()
        assert isinstance(hello, Hello)
        assert not hello.probes
        await conversation.send(Welcome(60.0))
        await conversation.receive()
        await conversation.send(Question("1", QuestionKind.PROBE, "", ("8.8.8.8",)))
        answer = await conversation.receive()
        assert isinstance(answer, Answer)
        assert "does not probe" in (answer.error or "")
