"""From the plan to the exit code."""

import asyncio
import random
import resource
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from rich.console import Console

from waymeet.cli.relay.load.plan import LoadPlan, PlayedSession
from waymeet.cli.relay.load.report import Report
from waymeet.cli.relay.load.sessions import LoadSessions
from waymeet.cli.relay.load.traffic import Traffic
from waymeet.client import AsyncClient, ClientError

SPARE_FILES = 64
"""Open beside the players' sockets."""
CALL_SECONDS = 30.0
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Server:
    """Where sessions are made."""

    url: str
    token: str
    locations: Sequence[str] = ()
    """Names or codes of places, one of which the relay must be at; none: wherever it is best."""


def load(plan: LoadPlan, source: Server | PlayedSession, monotonic: Callable[[], float], *, as_json: bool) -> int:
    """Play as planned, in sessions made at a server or in one that exists, and print what was found; the exit code: 1 when
    the test has failed, 130 when it was interrupted.

    Sessions that it makes are deleted whatever happens, also when it is interrupted. Raises `ClientError` when the
    server does not let it begin, `ValueError` when this machine has not enough room.
    """
    _make_room(plan.players + SPARE_FILES)
    report = asyncio.run(_load(plan, source, monotonic))
    if as_json:
        print(report.as_json())
    else:
        report.show()
    if report.interrupted:
        return INTERRUPTED
    return 1 if report.judge() else 0


def _make_room(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and files > hard:
        raise ValueError(
            f"{files} files must be open at once and this machine allows {hard}; lower --sessions or --clients, "
            "or raise the limit (ulimit -Hn)"
        )
    if soft != resource.RLIM_INFINITY and files > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


async def _load(plan: LoadPlan, source: Server | PlayedSession, monotonic: Callable[[], float]) -> Report:
    report = Report(plan)
    with suppress(asyncio.CancelledError):
        async with _interruptible(report):
            if isinstance(source, PlayedSession):
                await _play(report, [source], monotonic)
            else:
                await _at_server(report, source, monotonic)
    return report


async def _at_server(report: Report, server: Server, monotonic: Callable[[], float]) -> None:
    async with AsyncClient(server.url, server.token, timeout=CALL_SECONDS) as client:
        sessions = LoadSessions(client, report.plan, server.locations, monotonic)
        try:
            played = await sessions.make()
            report.ready_ms = sessions.ready_ms
            await _play(report, played, monotonic)
            await sessions.ask()
            report.relay = {
                "received_packets": sessions.received_packets,
                "sent_packets": sessions.sent_packets,
                "drops": dict(sessions.drops.most_common()),
            }
        finally:
            await sessions.delete()
            report.failures += sessions.failures


async def _play(report: Report, sessions: Sequence[PlayedSession], monotonic: Callable[[], float]) -> None:
    report.ready = len(sessions)
    if not sessions:
        return
    try:
        traffic = Traffic(report.plan, sessions, monotonic, random.SystemRandom())
    except OSError as error:
        raise ClientError(f"the players' sockets cannot be opened: {error}") from error
    report.tally = traffic.tally
    playing = asyncio.create_task(asyncio.to_thread(traffic.run))
    try:
        await asyncio.shield(playing)
    finally:
        traffic.stop()
        await playing
        report.states, report.seconds = traffic.states(), traffic.seconds
        traffic.close()


@asynccontextmanager
async def _interruptible(report: Report) -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM end what is within by cancelling it; a second one ends the program as it would any other."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt() -> None:
        report.interrupted = True
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        Console(stderr=True).print("ending what was begun; once more to leave it as it is", highlight=False)
        task.cancel()

    for number in numbers:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
