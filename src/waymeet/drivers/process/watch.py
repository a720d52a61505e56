"""When servers become ready, and what they use."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from waymeet.drivers.process import processes
from waymeet.drivers.process.directory import KeeperState
from waymeet.drivers.process.keepers import Keepers
from waymeet.drivers.process.readiness import Reach, port_trouble
from waymeet.drivers.process.server import Server
from waymeet.drivers.process.settings import ProcessSettings
from waymeet.model.instant import Clock, after

_IDLE_SECONDS = 3600.0
"""Between two looks when nothing is due; whatever happens stirs the watch."""


class Watch:
    """Looks at `servers`. `news` is set when a report may differ; it looks again when `stirred` is set."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        keepers: Keepers,
        reach: Reach,
        news: asyncio.Event,
        stirred: asyncio.Event,
        settings: ProcessSettings,
        clock: Clock,
    ) -> None:
        self._servers = servers
        self._keepers = keepers
        self._reach = reach
        self._news = news
        self._stirred = stirred
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Find out when servers become ready, and what they use. Sleeps while neither is due."""
        while True:
            self._stirred.clear()
            now = self._clock.monotonic()
            due = now + _IDLE_SECONDS
            for server in list(self._servers.values()):
                if server.has_ended:
                    continue
                if server.retry_due <= now:
                    try:
                        due = min(due, await self._look_after(server, now))
                    except OSError as error:
                        self._keepers.postpone(server, error)
                    else:
                        server.retry_due = 0.0
                if server.retry_due:
                    due = min(due, server.retry_due)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - self._clock.monotonic())):
                    await self._stirred.wait()

    async def _look_after(self, server: Server, now: float) -> float:
        """Do for one server what is due; when to come back to it."""
        if server.unheard:
            self._keepers.refresh(server)
        if server.keeper is None:
            # Started by an earlier driver in its last moment, or could not be watched. Its keeper rings when it comes up.
            await self._keepers.seek(server)
            return now + self._settings.highest_check
        if not server.is_running:
            return now + _IDLE_SECONDS
        if not server.is_ready and server.check_due <= now:
            await self._check(server)
        if server.reading_due <= now:
            self._take_reading(server)
            server.reading_due = now + self._settings.reading_interval
        return server.reading_due if server.is_ready else min(server.check_due, server.reading_due)

    async def _check(self, server: Server) -> None:
        """Look whether the server has become ready."""
        state = server.state
        assert state is not None, "only running servers are checked"
        trouble = await self._trouble(server, state)
        if server.state != state:
            return  # It ended or started again meanwhile: this says nothing about the new state.
        if trouble is None:
            now = self._clock.now()
            server.ready = (state.restart_count, now)
            server.trouble = None
            with suppress(OSError):
                server.directory.write_ready(*server.ready)
            self._take_reading(server)
            self._news.set()
            return
        if trouble != server.trouble:
            server.trouble = trouble
            self._news.set()
        server.check_due = self._clock.monotonic() + server.check_interval
        server.check_interval = min(server.check_interval * 1.25, self._settings.highest_check)

    async def _trouble(self, server: Server, state: KeeperState) -> str | None:
        """Why the server is not ready, `None` when it is."""
        if state.said_ready:
            return None
        ports = [port for port in server.record.ports if port.key in server.record.checked]
        if not ports:
            alive_at = after(state.spawned_at or self._clock.now(), self._settings.alive_for)
            return None if self._clock.now() >= alive_at else "no port to check: waiting whether it stays alive"
        family = processes.descendants(state.keeper.number)
        for port in ports:
            if trouble := await port_trouble(port, family, self._reach):
                return trouble
        return None

    def _take_reading(self, server: Server) -> None:
        if server.state is not None and server.meter is not None:
            family = processes.descendants(server.state.keeper.number)
            server.readings.append(server.meter.read(family, self._clock.now()))
