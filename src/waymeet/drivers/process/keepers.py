"""The keepers of this machine's servers: what they say, when they end, and what is left of a server then."""

import asyncio
import logging
import os
import signal
from contextlib import suppress

from waymeet.drivers.process import processes
from waymeet.drivers.process.directory import KeeperState
from waymeet.drivers.process.environment import MARK
from waymeet.drivers.process.server import Server
from waymeet.drivers.process.settings import ProcessSettings
from waymeet.drivers.process.tasks import Tasks
from waymeet.drivers.process.usage import Meter
from waymeet.model.instant import Clock
from waymeet.model.servers import CRASH_LOG_BYTES, EndReason

log = logging.getLogger(__name__)

_SWEEPS = 400
_SWEEP_SECONDS = 0.005


class Keepers:
    """Follows keepers. `news` is set when a report may differ, `stirred` when the watch has something to do."""

    def __init__(
        self, tasks: Tasks, news: asyncio.Event, stirred: asyncio.Event, settings: ProcessSettings, clock: Clock
    ) -> None:
        self._tasks = tasks
        self._news = news
        self._stirred = stirred
        self._settings = settings
        self._clock = clock

    def refresh(self, server: Server) -> None:
        """Read what the keeper says, and follow from it."""
        before, server.state = server.state, server.directory.state() or server.state
        state = server.state
        if state is None or state == before:
            return
        self._news.set()
        if server.keeper is None and state.phase != "ended":
            self._adopt(server, state)
        if state.phase in ("waiting", "ended") or before is None:
            crash_log = server.directory.crash_log()
            server.crash_log = crash_log and crash_log[-CRASH_LOG_BYTES:]
        if state.phase == "running" and (before is None or state.spawned_at != before.spawned_at):
            server.trouble = None
            server.check_interval = self._settings.first_check
            server.check_due = server.reading_due = self._clock.monotonic()
            server.reading_due += self._settings.reading_interval
            server.meter = Meter(state.spawned_at or self._clock.now())
        self._stirred.set()

    def _adopt(self, server: Server, state: KeeperState) -> None:
        """Watch a keeper that somebody else started."""
        with suppress(ProcessLookupError):
            self.hold(server, state.keeper.number)
            if processes.started(state.keeper.number) != state.keeper.started:
                self.release(server)  # Somebody else by now. The lock is free, and _settle sees to the rest.
            elif server.stop_asked is not None:
                self.signal(server)

    def hold(self, server: Server, number: int) -> None:
        server.keeper = os.pidfd_open(number)
        server.keeper_number = number
        asyncio.get_running_loop().add_reader(server.keeper, self._on_keeper_end, server)

    def release(self, server: Server) -> None:
        if server.keeper is not None:
            asyncio.get_running_loop().remove_reader(server.keeper)
            os.close(server.keeper)
            server.keeper = None

    def signal(self, server: Server) -> None:
        if server.keeper is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(server.keeper, signal.SIGTERM)

    def _on_keeper_end(self, server: Server) -> None:
        self.release(server)
        with suppress(ChildProcessError):
            os.waitpid(server.keeper_number, os.WNOHANG)
        self._tasks.spawn(self._settle_after_keeper(server))

    async def _settle_after_keeper(self, server: Server) -> None:
        await self.settle(server)
        # A process that the keeper had just forked holds the lock until it has become the program, or died with its
        # parent. The watch then tries again.
        self._stirred.set()

    async def settle(self, server: Server) -> None:
        """Make sure that nothing is left of a server without a keeper, and that it is reported as ended."""
        try:
            lock = server.directory.lock()
        except OSError:
            lock = -1  # Somebody removed the directory. Its keeper is gone all the same, and its mark is not.
        if lock is None:
            return
        try:
            self.refresh(server)
            await self._sweep(server)
            state = server.state
            if state is not None and state.phase == "ended":
                return
            stopped = server.stop_asked is not None or server.directory.is_to_stop()
            reason = EndReason.STOPPED if stopped else EndReason.LOST
            message = None if stopped else "the server's keeper was killed, and the server with it"
            if state is None:
                state = KeeperState("starting", processes.Identity(server.keeper_number, 0))
                if not stopped:
                    reason = EndReason.START_FAILED
                    message = f"the server's keeper could not start: {server.directory.keeper_log()[-500:].strip()}"
            server.state = KeeperState(
                phase="ended",
                keeper=state.keeper,
                restart_count=state.restart_count,
                spawned_at=state.spawned_at,
                exit_code=None if reason == EndReason.LOST else state.exit_code,
                end_reason=reason,
                message=message,
            )
            with suppress(OSError):
                # On a full disk it stays in memory, and the next driver comes to the same conclusion.
                server.directory.end(server.state)
            log.warning("server %s: ended without its keeper's word: %s", server.key, reason)
        finally:
            if lock >= 0:
                os.close(lock)
            self._news.set()

    async def _sweep(self, server: Server) -> None:
        """Kill what is left of a server whose keeper is gone."""
        left: set[int] = set()
        for _ in range(_SWEEPS):
            left = set(processes.marked(MARK, server.directory.mark))
            if server.state is not None:
                left |= set(processes.in_session(server.state.keeper))
            if not left:
                return
            processes.kill(left)
            await asyncio.sleep(_SWEEP_SECONDS)
        log.error("server %s: processes %s survive SIGKILL", server.key, sorted(left))

    async def settle_if_abandoned(self, server: Server) -> None:
        self.refresh(server)
        if server.keeper is None:
            await self.settle(server)
