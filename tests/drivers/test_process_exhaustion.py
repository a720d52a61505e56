"""A machine that has no file descriptor left: nothing is concluded from it, and all is well once there are some again."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.drivers.backends import SPEC, ProcessBackend, ended, ready, report_when, until
from tests.polling import eventually, eventually_async
from waymeet.clock import SystemClock
from waymeet.drivers.base import Driver
from waymeet.model.instant import Instant
from waymeet.model.servers import EndReason, ServerPhase

pytestmark = pytest.mark.anyio


@contextmanager
def nothing_to_open() -> Iterator[None]:
    """No file descriptor is left in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, held[0] + 64), hard))
    try:
        while True:
            try:
                held.append(os.dup(held[0]))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def keeper_of(backend: ProcessBackend) -> int:
    state = (backend.directory / SPEC.key / "state").read_text()
    return int(dict(line.split(" ", 1) for line in state.splitlines())["keeper"])


async def complained(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> bool:
        return "cannot be looked after" in caplog.text

    await eventually_async(check, every=0.005)


@pytest.fixture
def backend(process_backend: ProcessBackend) -> ProcessBackend:
    process_backend.settings = replace(process_backend.settings, second_try=0.05)
    return process_backend


async def test_a_server_that_starts_meanwhile_becomes_ready(
    backend: ProcessBackend, caplog: pytest.LogCaptureFixture
) -> None:
    driver = await backend.driver()
    await driver.start(SPEC)
    with nothing_to_open():
        # Its keeper rings, and what it says cannot be read.
        await complained(caplog)
        assert [report.phase for report in await driver.look()] == [ServerPhase.STARTING]
    await ready(driver)
    await driver.stop(SPEC.key)
    assert (await ended(driver)).end_reason is EndReason.STOPPED


async def test_a_server_that_is_killed_meanwhile_is_reported_and_cleared_away(
    backend: ProcessBackend, caplog: pytest.LogCaptureFixture
) -> None:
    driver = await backend.driver()
    await driver.start(SPEC)
    await ready(driver)
    keeper = keeper_of(backend)
    with nothing_to_open():
        os.kill(keeper, signal.SIGKILL)
        await complained(caplog)
        assert [report.phase for report in await driver.look()] == [ServerPhase.READY]
    assert (await ended(driver)).end_reason is EndReason.LOST
    eventually(lambda: not backend.left(SPEC.key))


@pytest.mark.parametrize("failures", [1, 5])
async def test_a_keeper_that_could_not_be_watched_at_once_is_watched_later(
    backend: ProcessBackend, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    real, left = os.pidfd_open, [failures]

    def pidfd_open(number: int, flags: int = 0) -> int:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(24, "Too many open files")
        return real(number, flags)

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    driver = await backend.driver()
    await driver.start(SPEC)
    assert [report.phase for report in await driver.look()] == [ServerPhase.STARTING]
    await ready(driver)
    keeper = keeper_of(backend)
    # Watched: its sudden end is noticed, and it leaves no zombie.
    await until(driver, lambda _: left[0] == 0)
    os.kill(keeper, signal.SIGKILL)
    assert (await ended(driver)).end_reason is EndReason.LOST
    eventually(lambda: not Path(f"/proc/{keeper}").exists())


async def test_a_stop_reaches_a_keeper_that_is_not_watched_yet(
    backend: ProcessBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pidfd_open
    refusing = [True]

    def pidfd_open(number: int, flags: int = 0) -> int:
        if refusing[0]:
            raise OSError(24, "Too many open files")
        return real(number, flags)

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    driver = await backend.driver()
    await driver.start(SPEC)
    await report_when(driver, lambda report: report.spawned_at is not None)
    await driver.stop(SPEC.key)
    refusing[0] = False
    assert (await ended(driver)).end_reason is EndReason.STOPPED


@dataclass
class BrokenClock:
    """A clock that fails when it is told to: a bug that nobody has thought of."""

    broken: bool = False

    def now(self) -> Instant:
        return SystemClock().now()

    def monotonic(self) -> float:
        if self.broken:
            raise RuntimeError("this clock is broken")
        return SystemClock().monotonic()


async def test_a_watch_that_dies_is_said_to_whoever_runs_the_driver(backend: ProcessBackend) -> None:
    backend.clock = clock = BrokenClock()
    driver: Driver = await backend.driver()
    await driver.start(SPEC)
    clock.broken = True

    async def failed() -> bool:
        await driver.look()
        try:
            await driver.changed()
        except RuntimeError as error:
            return str(error.__cause__) == "this clock is broken"
        return False

    await eventually_async(failed)
    # And again, whoever asks.
    assert await failed()
    # The driver that cleans up after this test needs a sound one.
    clock.broken = False
