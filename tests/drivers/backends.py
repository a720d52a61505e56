"""Backends to run the drivers' tests on: where servers go, and what is left of them, seen without the driver's help."""

import os
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.polling import eventually_async
from tests.ports import PortWindow
from waymeet.clock import SystemClock
from waymeet.drivers.base import Driver
from waymeet.drivers.process import Host, PortAllocator, ProcessDriver, ProcessSettings, Program
from waymeet.drivers.process.launch import KeeperSettings
from waymeet.model.instant import Clock
from waymeet.model.servers import PortProtocol, PortRequest, ServerPhase, ServerReport, ServerSpec

ECHO = Program(("{python}", "-m", "waymeet.samples.echo"))
QUICK = ProcessSettings(
    keeper=KeeperSettings(first_delay=0.02, highest_delay=0.1), alive_for=0.05, reading_interval=0.1, readings_kept=5
)
SPEC = ServerSpec(
    key="server-1",
    repository="docker.io",
    image="waymeet/echo",
    tag="1.0",
    ports=(PortRequest("game", 0, PortProtocol.TCP_UDP),),
)


class ProcessBackend:
    """This machine, with a directory for the driver's files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = {"waymeet/echo": ECHO}
        self.settings = QUICK
        self.clock: Clock = SystemClock()
        self.address = "127.0.0.1"
        self._window = PortWindow()
        self.port_range = self._window.ports
        self._opened: list[Driver] = []

    async def driver(self) -> ProcessDriver:
        """A new driver, as a restarted node has it. The one before must be closed."""
        driver = ProcessDriver(
            self.directory,
            self.programs,
            Host("host", self.address),
            PortAllocator(random.Random()),
            self.clock,
            environment=os.environ,
            port_range=self.port_range,
            settings=self.settings,
        )
        await driver.open()
        self._opened.append(driver)
        return driver

    def runs(self, image: str, script: str) -> ServerSpec:
        """A spec for a program written in Python, with no port."""
        self.programs[image] = Program((sys.executable, "-u", "-c", script))
        return replace(SPEC, image=image, ports=())

    def left(self, key: str) -> list[int]:
        """Processes of the server, its keeper's included, wherever they are."""
        mark = f"WAYMEET_SERVER={self.directory / key}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if not entry.name.isdigit():
                    continue
                is_keeper = (entry / "cmdline").read_bytes().split(b"\0")[-2:-1] == [key.encode()] and (
                    entry / "cwd"
                ).readlink() == self.directory / key
                if is_keeper or mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    async def clean(self) -> None:
        """Nothing a test started outlives it."""
        for driver in self._opened:
            await driver.close()
        self.clock = SystemClock()
        driver = await self.driver()
        for report in await driver.look():
            await driver.stop(report.key, 0.0)
        await until(driver, lambda reports: all(report.phase is ServerPhase.ENDED for report in reports))
        await driver.close()
        self._window.release()


async def until(driver: Driver, condition: Callable[[Sequence[ServerReport]], Any]) -> None:
    """Wait until the driver's reports fulfil `condition`."""

    async def check() -> bool:
        return bool(condition(await driver.look()))

    await eventually_async(check, every=0.005)


async def report_when(driver: Driver, condition: Callable[[ServerReport], Any], key: str = SPEC.key) -> ServerReport:
    """The report on one server as soon as it fulfils `condition`."""
    seen: list[ServerReport | None] = [None]

    async def check() -> ServerReport | None:
        seen[0] = {report.key: report for report in await driver.look()}.get(key)
        return seen[0] if seen[0] is not None and condition(seen[0]) else None

    try:
        found = await eventually_async(check, every=0.005)
    except AssertionError as error:
        raise AssertionError(f"last seen: {seen[0]}") from error
    assert found is not None
    return found


async def ready(driver: Driver, key: str = SPEC.key) -> ServerReport:
    return await report_when(driver, lambda report: report.phase is ServerPhase.READY, key)


async def ended(driver: Driver, key: str = SPEC.key) -> ServerReport:
    return await report_when(driver, lambda report: report.phase is ServerPhase.ENDED, key)
