"""The process driver: turns what is wanted of this machine's servers into keepers, and what those say into reports."""

import asyncio
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from waymeet.drivers.process import keeper
from waymeet.drivers.process.bell import Bell
from waymeet.drivers.process.directory import FORGOTTEN, Record, ServerDirectory
from waymeet.drivers.process.environment import Host, build_environment
from waymeet.drivers.process.exclusion import exclude_others
from waymeet.drivers.process.keepers import Keepers
from waymeet.drivers.process.launch import start_keeper
from waymeet.drivers.process.ports import DEFAULT_PORTS, NoPortLeft, PortAllocator
from waymeet.drivers.process.programs import Program, Unusable, build_command, find_program
from waymeet.drivers.process.readiness import Reach
from waymeet.drivers.process.server import Server
from waymeet.drivers.process.settings import ProcessSettings
from waymeet.drivers.process.tasks import Tasks
from waymeet.drivers.process.watch import Watch
from waymeet.model.errors import NotFound, Unavailable
from waymeet.model.instant import Clock
from waymeet.model.node_messages import ServerLogs
from waymeet.model.servers import EndReason, PortMapping, Reading, ServerPhase, ServerReport, ServerSpec

log = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


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
        self._servers: dict[str, Server] = {}
        self._failures: dict[str, ServerReport] = {}
        self._news = asyncio.Event()
        self._stirred = asyncio.Event()
        self._tasks = Tasks(self._news)
        self._keepers = Keepers(self._tasks, self._news, self._stirred, self._settings, clock)
        self._watch = Watch(
            self._servers, self._keepers, Reach(host.address), self._news, self._stirred, self._settings, clock
        )
        self._bell: Bell | None = None
        self._lock: int | None = None

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(self._programs)

    async def open(self) -> None:
        if sys.platform != "linux":
            raise Unavailable('driver: process needs Linux; choose driver = "docker" for this node')
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = await exclude_others(self._directory, self._clock, self._settings.patience)
            # Before any state is read: a keeper that speaks later is heard.
            self._bell = Bell(self._directory, self._on_ring)
            for entry in sorted(self._directory.iterdir()):
                if entry.name.startswith(FORGOTTEN):
                    ServerDirectory(entry.with_name(entry.name.removeprefix(FORGOTTEN))).remove_remains()
                elif entry.is_dir() and _KEY.fullmatch(entry.name):
                    await self._find(ServerDirectory(entry))
        except OSError as error:
            raise Unavailable(f"directory: cannot use {self._directory}: {error.strerror}") from error
        self._tasks.spawn(self._watch.run())
        self._news.set()

    async def close(self) -> None:
        await self._tasks.cancel()
        for server in self._servers.values():
            self._keepers.release(server)
        if self._bell is not None:
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
        self._keepers.signal(server)
        self._news.set()

    async def look(self) -> Sequence[ServerReport]:
        self._news.clear()
        reports = [server.report(self._host.address) for server in self._servers.values()]
        return reports + list(self._failures.values())

    async def changed(self) -> None:
        if self._tasks.failure is None:
            await self._news.wait()
        if self._tasks.failure is not None:
            raise RuntimeError("the process driver has lost sight of its servers") from self._tasks.failure

    async def forget(self, key: str) -> None:
        if self._failures.pop(key, None) is not None:
            return
        server = self._servers.get(key)
        if server is None or not server.has_ended or server.keeper is not None:
            return
        try:
            lock = server.directory.lock()
        except FileNotFoundError:
            lock = -1  # Somebody removed it.
        except OSError as error:
            log.warning("server %s cannot be forgotten now: %s", key, error.strerror)
            return
        if lock is None:
            return  # The keeper is on its way out. Whoever asks again will find it gone.
        if lock >= 0:
            server.directory.set_aside()
            os.close(lock)
        self._ports.release(port.internal for port in server.record.ports)
        del self._servers[key]
        # Away from the event loop: a program may have left any number of files, and the other servers go on meanwhile.
        await asyncio.to_thread(server.directory.remove_remains)

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

    def _server(self, key: str) -> Server:
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
        self._news.set()

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
        server = Server(directory, record, self._settings.readings_kept)
        self._servers[spec.key] = server
        self._keepers.watch_over(server, number)
        self._news.set()
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
        server = Server(directory, record, self._settings.readings_kept)
        server.ready = directory.ready()
        if directory.is_to_stop():
            server.stop_asked = keeper.HIGHEST_GRACE_SECONDS
        self._servers[directory.key] = server
        self._ports.reserve(port.internal for port in record.ports)
        self._keepers.refresh(server)
        if lock is not None:
            await self._keepers.settle(server)

    def _on_ring(self, key: str) -> None:
        if (server := self._servers.get(key)) is not None and not server.has_ended:
            self._keepers.hear(server)
