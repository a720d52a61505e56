"""The process driver: turns what is wanted of this machine's servers into keepers, and what those say into reports."""

import asyncio
import fcntl
import logging
import os
import re
import signal
import socket
import sys
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from waymeet.drivers.process import keeper, processes
from waymeet.drivers.process.directory import FORGOTTEN, KeeperState, Record, ServerDirectory
from waymeet.drivers.process.environment import MARK, Host, build_environment
from waymeet.drivers.process.launch import KeeperSettings, start_keeper
from waymeet.drivers.process.ports import DEFAULT_PORTS, NoPortLeft, PortAllocator
from waymeet.drivers.process.programs import Program, Unusable, build_command, find_program
from waymeet.drivers.process.readiness import Reach, port_trouble
from waymeet.drivers.process.usage import Meter
from waymeet.model.errors import NotFound, Unavailable
from waymeet.model.instant import Clock, Instant, after
from waymeet.model.node_messages import ServerLogs
from waymeet.model.servers import (
    CRASH_LOG_BYTES,
    EndReason,
    PortMapping,
    Reading,
    ServerPhase,
    ServerReport,
    ServerSpec,
)

log = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PREDECESSOR_SECONDS = 0.1
_SWEEPS = 400
_SWEEP_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """Times in seconds."""

    keeper: KeeperSettings = field(default_factory=KeeperSettings)
    first_check: float = 0.005
    """Between the first two looks at a starting server's ports; each further one waits a quarter longer."""
    highest_check: float = 0.1
    alive_for: float = 1.0
    """How long a server without a port to check has to live before it counts as ready."""
    reading_interval: float = 15.0
    readings_kept: int = 240
    patience: float = 5.0
    """How long a driver that is on its way out may hold on to the directory."""


class _Server:
    """One server in memory; what has to last is in its directory."""

    def __init__(self, directory: ServerDirectory, record: Record, readings_kept: int) -> None:
        self.directory = directory
        self.record = record
        self.state: KeeperState | None = None
        self.keeper: int | None = None
        """A descriptor of the keeper's process, while that lives and is known."""
        self.keeper_number = 0
        self.stop_asked: float | None = None
        self.ready: tuple[int, Instant] | None = None
        self.crash_log: str | None = None
        self.trouble: str | None = None
        self.check_due = 0.0
        self.check_interval = 0.0
        self.reading_due = 0.0
        self.meter: Meter | None = None
        self.readings: deque[Reading] = deque(maxlen=readings_kept)

    @property
    def key(self) -> str:
        return self.directory.key

    @property
    def has_ended(self) -> bool:
        return self.state is not None and self.state.phase == "ended"

    @property
    def is_running(self) -> bool:
        return self.state is not None and self.state.phase == "running"

    @property
    def is_ready(self) -> bool:
        """Whether the present run of the program has become ready; while it waits for the next run there is none."""
        if self.state is None or self.ready is None or self.state.phase == "waiting":
            return False
        return self.ready[0] == self.state.restart_count

    @property
    def message(self) -> str | None:
        """What an operator should know: why it ended, or why it is not ready."""
        if self.phase is ServerPhase.READY or self.state is None:
            return None
        return (self.trouble if self.is_running else None) or self.state.message

    @property
    def phase(self) -> ServerPhase:
        if self.has_ended:
            return ServerPhase.ENDED
        if self.stop_asked is not None or (self.state is not None and self.state.phase == "stopping"):
            return ServerPhase.STOPPING
        return ServerPhase.READY if self.is_running and self.is_ready else ServerPhase.STARTING

    def report(self, public_ip: str) -> ServerReport:
        state = self.state
        phase = self.phase
        return ServerReport(
            key=self.key,
            phase=phase,
            public_ip=public_ip,
            ports=self.record.ports,
            restart_count=state.restart_count if state else 0,
            end_reason=state.end_reason if state and phase == ServerPhase.ENDED else None,
            exit_code=state.exit_code if state else None,
            message=self.message,
            crash_log=self.crash_log,
            spawned_at=state.spawned_at if state else None,
            ready_at=self.ready[1] if self.ready and self.is_ready else None,
        )


class ProcessDriver:
    """Runs the operator's programs on this machine (`drivers.base.Driver`). Linux only.

    Internal and external port are the same: a port of the range that is free, which the program is told to bind. Memory
    and processor shares of a version are passed on to the program and measured, not enforced: without containers the
    kernel can only limit address space, and language runtimes reserve far more of that than they use.
    """

    def __init__(
        self,
        directory: Path,
        programs: Mapping[str, Program],
        host: Host,
        ports: PortAllocator,
        clock: Clock,
        *,
        environment: Mapping[str, str],
        port_range: range = DEFAULT_PORTS,
        settings: ProcessSettings | None = None,
    ) -> None:
        """`directory` is for this driver alone. `environment` is the node's; only its harmless part reaches servers."""
        self._directory = directory.absolute()
        self._programs = programs
        self._host = host
        self._ports = ports
        self._clock = clock
        self._environment = environment
        self._port_range = port_range
        self._settings = settings or ProcessSettings()
        self._reach = Reach(host.address)
        self._servers: dict[str, _Server] = {}
        self._failures: dict[str, ServerReport] = {}
        self._changed = asyncio.Event()
        self._stirred = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bell: socket.socket | None = None
        self._lock: int | None = None

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(self._programs)

    async def open(self) -> None:
        if sys.platform != "linux":
            raise Unavailable('driver: process needs Linux; choose driver = "docker" for this node')
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._exclude_others()
            self._listen()
            entries = sorted(self._directory.iterdir())
        except OSError as error:
            raise Unavailable(f"directory: cannot use {self._directory}: {error.strerror}") from error
        for entry in entries:
            if entry.name.startswith(FORGOTTEN):
                ServerDirectory(entry.with_name(entry.name.removeprefix(FORGOTTEN))).remove_remains()
            elif entry.is_dir() and _KEY.fullmatch(entry.name):
                await self._find(ServerDirectory(entry))
        self._spawn_task(self._watch())
        self._changed.set()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        for server in self._servers.values():
            if server.keeper is not None:
                loop.remove_reader(server.keeper)
                os.close(server.keeper)
                server.keeper = None
        if self._bell is not None:
            # Its name stays behind: by now it may be the next driver's.
            loop.remove_reader(self._bell)
            self._bell.close()
            self._bell = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def start(self, spec: ServerSpec) -> None:
        if spec.key in self._servers or spec.key in self._failures:
            return
        if _KEY.fullmatch(spec.key) is None:
            self._fail(spec, EndReason.START_FAILED, f"key: {spec.key[:80]!r} is not 1 to 64 letters, digits, - or _")
            return
        program = find_program(self._programs, spec)
        if program is None:
            known = ", ".join(self._programs) or "none"
            self._fail(
                spec,
                EndReason.IMAGE_UNKNOWN,
                f"docker_image: this node has no program for {spec.image!r} (it has: {known}); "
                'add [programs."' + spec.image + '"] to its configuration',
            )
            return
        try:
            numbers = self._ports.take(len(spec.ports), self._port_range)
        except NoPortLeft as error:
            self._fail(spec, EndReason.NO_ROOM, f"ports: {error}; widen the node's port range or stop other servers")
            return
        try:
            self._launch(spec, program, numbers)
        except (OSError, UnicodeError, Unusable) as error:
            self._ports.release(numbers)
            self._fail(spec, EndReason.START_FAILED, f"cannot start: {getattr(error, 'strerror', None) or error}")

    async def stop(self, key: str, grace_seconds: float | None = None) -> None:
        server = self._servers.get(key)
        if server is None or server.has_ended:
            return
        grace = keeper.HIGHEST_GRACE_SECONDS if grace_seconds is None else max(0.0, grace_seconds)
        if server.stop_asked is not None and server.stop_asked <= grace:
            return
        server.stop_asked = grace
        try:
            server.directory.ask_to_stop(grace)
        except OSError as error:
            # The signal alone will do; only a keeper that has not come up yet misses it, and the lock tells of that.
            log.warning("cannot write the stop request of %s: %s", key, error)
        self._signal_keeper(server)
        self._changed.set()

    async def look(self) -> Sequence[ServerReport]:
        self._changed.clear()
        reports = [server.report(self._host.address) for server in self._servers.values()]
        return reports + list(self._failures.values())

    async def changed(self) -> None:
        await self._changed.wait()

    async def forget(self, key: str) -> None:
        if self._failures.pop(key, None) is not None:
            return
        server = self._servers.get(key)
        if server is None or not server.has_ended or server.keeper is not None:
            return
        with suppress(FileNotFoundError):
            lock = server.directory.lock()
            if lock is None:
                return  # The keeper is on its way out. Whoever asks again will find it gone.
            server.directory.remove()
            os.close(lock)
        self._ports.release(port.internal for port in server.record.ports)
        del self._servers[key]

    async def logs(self, key: str) -> ServerLogs:
        if failure := self._failures.get(key):
            return ServerLogs(text="", message=failure.message)
        server = self._server(key)
        state = server.state
        return ServerLogs(
            text=server.directory.output(),
            crash=server.crash_log,
            exit_code=state.exit_code if state else None,
            message=state.message if state else None,
            restart_count=state.restart_count if state else 0,
        )

    async def readings(self, key: str) -> Sequence[Reading]:
        return () if key in self._failures else tuple(self._server(key).readings)

    def _server(self, key: str) -> _Server:
        server = self._servers.get(key)
        if server is None:
            raise NotFound(f"no server {key[:80]!r} on this node")
        return server

    def _fail(self, spec: ServerSpec, reason: EndReason, message: str) -> None:
        log.warning("server %s not started: %s", spec.key[:80], message)
        self._failures[spec.key] = ServerReport(
            key=spec.key,
            phase=ServerPhase.ENDED,
            public_ip=self._host.address,
            end_reason=reason,
            message=message,
        )
        self._changed.set()

    def _launch(self, spec: ServerSpec, program: Program, numbers: Sequence[int]) -> None:
        """Start the keeper. Raises `OSError`, `UnicodeError` or `Unusable`, with nothing left behind."""
        ports = tuple(
            PortMapping(request.name or str(request.internal), number, number, request.protocol, request.tls_upgrade)
            for request, number in zip(spec.ports, numbers, strict=True)
        )
        checked = tuple(port.key for port, request in zip(ports, spec.ports, strict=True) if request.to_check)
        command = build_command(program, spec, ports, python=sys.executable, address=self._host.address)
        directory = ServerDirectory(self._directory / spec.key)
        environment = build_environment(spec, ports, self._host, self._environment, directory.mark)
        record = Record(ports, checked)
        lock = directory.create()
        try:
            directory.write_record(record)
            number = start_keeper(
                directory,
                lock,
                command,
                environment,
                program_directory=Path(program.directory) if program.directory else None,
                restart_policy=spec.restart_policy,
                grace_seconds=spec.grace_seconds,
                settings=self._settings.keeper,
            )
        except BaseException:
            directory.remove()
            raise
        finally:
            os.close(lock)
        server = _Server(directory, record, self._settings.readings_kept)
        self._servers[spec.key] = server
        self._hold_keeper(server, number)
        self._changed.set()
        log.info("server %s: keeper %d started for %s", spec.key, number, spec.image)

    async def _find(self, directory: ServerDirectory) -> None:
        """Take over what an earlier driver left in `directory`."""
        record, state = directory.record(), directory.state()
        lock = directory.lock()
        if record is None or (lock is not None and state is None):
            # The start was interrupted before a keeper began its work, so nothing was ever started: as if never asked.
            if lock is not None:
                directory.remove()
                os.close(lock)
            return
        if lock is not None:
            os.close(lock)
        server = _Server(directory, record, self._settings.readings_kept)
        server.ready = directory.ready()
        if directory.is_to_stop():
            server.stop_asked = keeper.HIGHEST_GRACE_SECONDS
        self._servers[directory.key] = server
        self._ports.reserve(port.internal for port in record.ports)
        self._refresh(server)
        if lock is not None:
            await self._settle(server)

    def _refresh(self, server: _Server) -> None:
        """Read what the keeper says, and follow from it."""
        before, server.state = server.state, server.directory.state() or server.state
        state = server.state
        if state is None or state == before:
            return
        self._changed.set()
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

    def _adopt(self, server: _Server, state: KeeperState) -> None:
        """Watch a keeper that somebody else started."""
        with suppress(ProcessLookupError):
            self._hold_keeper(server, state.keeper.number)
            if processes.started(state.keeper.number) != state.keeper.started:
                self._release_keeper(server)  # Somebody else by now. The lock is free, and _settle sees to the rest.
            elif server.stop_asked is not None:
                self._signal_keeper(server)

    def _hold_keeper(self, server: _Server, number: int) -> None:
        server.keeper = os.pidfd_open(number)
        server.keeper_number = number
        asyncio.get_running_loop().add_reader(server.keeper, self._on_keeper_end, server)

    def _release_keeper(self, server: _Server) -> None:
        if server.keeper is not None:
            asyncio.get_running_loop().remove_reader(server.keeper)
            os.close(server.keeper)
            server.keeper = None

    def _signal_keeper(self, server: _Server) -> None:
        if server.keeper is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(server.keeper, signal.SIGTERM)

    def _on_keeper_end(self, server: _Server) -> None:
        self._release_keeper(server)
        with suppress(ChildProcessError):
            os.waitpid(server.keeper_number, os.WNOHANG)
        self._spawn_task(self._settle_after_keeper(server))

    async def _settle_after_keeper(self, server: _Server) -> None:
        await self._settle(server)
        # A process that the keeper had just forked holds the lock until it has become the program, or died with its
        # parent. The watch then tries again.
        self._stirred.set()

    async def _settle(self, server: _Server) -> None:
        """Make sure that nothing is left of a server without a keeper, and that it is reported as ended."""
        try:
            lock = server.directory.lock()
        except OSError:
            lock = -1  # Somebody removed the directory. Its keeper is gone all the same, and its mark is not.
        if lock is None:
            return
        try:
            self._refresh(server)
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
            self._changed.set()

    async def _sweep(self, server: _Server) -> None:
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

    async def _watch(self) -> None:
        """Find out when servers become ready, and what they use. Sleeps while neither is due."""
        while True:
            self._stirred.clear()
            now = self._clock.monotonic()
            due = now + 3600.0
            for server in list(self._servers.values()):
                if server.has_ended:
                    continue
                if server.keeper is None:
                    # Started by an earlier driver in its last moment. Its keeper rings when it comes up, if it does.
                    await self._settle_if_abandoned(server)
                    due = min(due, now + self._settings.highest_check)
                    continue
                if not server.is_running:
                    continue
                if not server.is_ready and server.check_due <= now:
                    await self._check(server)
                if server.reading_due <= now:
                    self._take_reading(server)
                    server.reading_due = now + self._settings.reading_interval
                due = min(due, server.reading_due if server.is_ready else min(server.check_due, server.reading_due))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - self._clock.monotonic())):
                    await self._stirred.wait()

    async def _settle_if_abandoned(self, server: _Server) -> None:
        self._refresh(server)
        if server.keeper is None:
            await self._settle(server)

    async def _check(self, server: _Server) -> None:
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
            self._changed.set()
            return
        if trouble != server.trouble:
            server.trouble = trouble
            self._changed.set()
        server.check_due = self._clock.monotonic() + server.check_interval
        server.check_interval = min(server.check_interval * 1.25, self._settings.highest_check)

    async def _trouble(self, server: _Server, state: KeeperState) -> str | None:
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

    def _take_reading(self, server: _Server) -> None:
        if server.state is not None and server.meter is not None:
            family = processes.descendants(server.state.keeper.number)
            server.readings.append(server.meter.read(family, self._clock.now()))

    async def _exclude_others(self) -> None:
        """Take the directory for ourselves. A predecessor on its way out gets a moment to let go of it."""
        self._lock = os.open(self._directory / "driver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = self._clock.monotonic() + self._settings.patience
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() >= deadline:
                    os.close(self._lock)
                    self._lock = None
                    raise Unavailable(
                        f"directory: another node runs its servers in {self._directory}; stop it, or give this one "
                        "a data directory of its own"
                    ) from None
                await asyncio.sleep(_PREDECESSOR_SECONDS)
            else:
                return

    def _listen(self) -> None:
        """Bind the bell, before any state is read: a keeper that speaks later is heard."""
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bell.setblocking(False)
        path = self._directory / Path(keeper.BELL).name
        path.unlink(missing_ok=True)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Through the directory's descriptor, since a socket's path is short by law of the kernel.
            bell.bind(f"/proc/self/fd/{descriptor}/{path.name}")
        except OSError:
            bell.close()
            raise
        finally:
            os.close(descriptor)
        self._bell = bell
        asyncio.get_running_loop().add_reader(bell, self._on_bell, bell)

    def _on_bell(self, bell: socket.socket) -> None:
        rung = set()
        with suppress(BlockingIOError):
            while True:
                rung.add(bell.recv(128).decode(errors="replace"))
        for key in rung:
            if (server := self._servers.get(key)) is not None and not server.has_ended:
                self._refresh(server)

    def _spawn_task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug, made visible instead of waited for: without its watch the driver is of no use.
            asyncio.get_running_loop().call_exception_handler({"message": "process driver", "exception": error})
