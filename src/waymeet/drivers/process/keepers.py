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
    """Follows keepers. `news` is set when a report may differ, `stirred` when the watch has something to do.

    A machine without a file descriptor or memory left says nothing about a server: what cannot be found out is tried again,
    and nothing is concluded from it.
    """

    def __init__(
        self, tasks: Tasks, news: asyncio.Event, stirred: asyncio.Event, settings: ProcessSettings, clock: Clock
    ) -> None:
        self._tasks = tasks
        self._news = news
        self._stirred = stirred
        self._settings = settings
        self._clock = clock

    def hear(self, server: Server) -> None:
        """Its keeper has something to say."""
        server.unheard = True
        try:
            self.refresh(server)
        except OSError as error:
            self.postpone(server, error)

    def refresh(self, server: Server) -> None:
        """Read what the keeper says, and follow from it; watch the keeper if nobody does. Raises `OSError`."""
        self._read(server)
        state = server.state
        if server.keeper is None and state is not None and state.phase != "ended":
            self._adopt(server, state)

    def postpone(self, server: Server, error: OSError) -> None:
        """Let the watch try again in a while to look after a server."""
        if not server.retry_due:
            log.warning("server %s cannot be looked after, trying again: %s", server.key, error.strerror or error)
        server.retry_due = self._clock.monotonic() + self._settings.second_try
        self._stirred.set()

    def _read(self, server: Server) -> None:
        before, server.state = server.state, server.directory.state() or server.state
        server.unheard = False
        state = server.state
        if state is None or state == before:
            return
        self._news.set()
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
        """Watch a keeper by its own account: somebody else started it, or it could not be watched when we did."""
        with suppress(ProcessLookupError):
            self._hold(server, state.keeper.number)
            try:
                is_keeper = processes.started(state.keeper.number) == state.keeper.started
            except OSError:
                self.release(server)
                raise
            if not is_keeper:
                self.release(server)  # Somebody else by now. The lock is free, and `settle` sees to the rest.
            elif server.stop_asked is not None:
                self.signal(server)

    def watch_over(self, server: Server, number: int) -> None:
        """Watch the keeper that we have just started. It runs, so failing here is no reason to say that it does not."""
        server.keeper_number = number
        try:
            self._hold(server, number)
        except OSError as error:
            self.postpone(server, error)

    def _hold(self, server: Server, number: int) -> None:
        descriptor = os.pidfd_open(number)
        try:
            asyncio.get_running_loop().add_reader(descriptor, self._on_keeper_end, server)
        except BaseException:
            os.close(descriptor)
            raise
        server.keeper, server.keeper_number = descriptor, number

    def release(self, server: Server) -> None:
        """Watch its keeper no more."""
        if server.keeper is not None:
            asyncio.get_running_loop().remove_reader(server.keeper)
            os.close(server.keeper)
            server.keeper = None

    def signal(self, server: Server) -> None:
        """Tell its keeper to stop; one that is not watched now is told when it is."""
        if server.keeper is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(server.keeper, signal.SIGTERM)

    def _on_keeper_end(self, server: Server) -> None:
        self.release(server)
        self._tasks.spawn(self._settle_after_keeper(server))

    async def _settle_after_keeper(self, server: Server) -> None:
        try:
            await self.settle(server)
        except OSError as error:
            self.postpone(server, error)
        # A process that the keeper had just forked holds the lock until it has become the program, or died with its
        # parent. The watch then tries again.
        self._stirred.set()

    async def settle(self, server: Server) -> None:
        """Make sure that nothing is left of a server without a keeper, and that it is reported as ended.

        Does nothing while the keeper lives. Raises `OSError` when that cannot be told now; repeatable.
        """
        _collect(server.keeper_number)
        try:
            lock = server.directory.lock()
        except FileNotFoundError:
            lock = -1  # Somebody removed the directory. Its keeper is not watched, and its mark does not lie.
        if lock is None:
            return
        try:
            self._read(server)
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

    async def seek(self, server: Server) -> None:
        """Find the keeper of a server that nobody watches, or settle what is left. Raises `OSError`; repeatable."""
        self.refresh(server)
        if server.keeper is None:
            await self.settle(server)


def _collect(number: int) -> None:
    """Let the kernel forget a child of ours that has ended."""
    if number:
        with suppress(ChildProcessError):
            os.waitpid(number, os.WNOHANG)
