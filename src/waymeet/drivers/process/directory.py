"""What is kept on disk about one server: written by the driver before its start, by its keeper from then on.

lock                 held (flock) by the driver while it starts the keeper, and by the keeper for as long as it lives
record               written by the driver, once: the ports that the server has
state, crash         written by the keeper (`keeper.py`), whole files replaced in one step
log, log.older       the server's output
stop                 written by the driver: the server is to stop, and within how many seconds
ready                written by the driver: which run of the program became ready, and when
notify               the socket on which the program may say READY=1
keeper.log           what the keeper itself printed; nothing, unless it fails
work/                where the program runs
"""

import fcntl
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from waymeet.drivers.process import keeper
from waymeet.drivers.process.processes import Identity
from waymeet.model.instant import Instant
from waymeet.model.servers import EndReason, PortMapping, PortProtocol

FORGOTTEN = ".forgotten-"
_KEEPER_LOG = "keeper.log"


@dataclass(frozen=True, slots=True)
class Record:
    """What a later driver has to know about a server and could not ask anybody."""

    ports: tuple[PortMapping, ...]
    checked: tuple[str, ...]
    """Keys of the ports that must answer before the server counts as ready."""


@dataclass(frozen=True, slots=True)
class KeeperState:
    """The keeper's own account (see `keeper.py` for the phases: starting, running, waiting, stopping, ended)."""

    phase: str
    keeper: Identity
    restart_count: int = 0
    said_ready: bool = False
    spawned_at: Instant | None = None
    exit_code: int | None = None
    end_reason: EndReason | None = None
    message: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The state in its file's form, a name and a value on each line; `None` for anything else."""
        values = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

        def number(name: str) -> int | None:
            return int(values[name]) if name in values else None

        try:
            spawned_at = number("spawned_at")
            return cls(
                phase=values["phase"],
                keeper=Identity(int(values["keeper"]), int(values["keeper_started"])),
                restart_count=number("restart_count") or 0,
                said_ready=bool(number("said_ready")),
                spawned_at=None if spawned_at is None else Instant(spawned_at),
                exit_code=number("exit_code"),
                end_reason=EndReason(values["end_reason"]) if "end_reason" in values else None,
                message=values.get("message"),
            )
        except (KeyError, ValueError):
            return None


class ServerDirectory:
    """The files of one server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = path.name

    @property
    def mark(self) -> str:
        """What the environment of each of the server's processes names it by; unique on this machine."""
        return str(self.path)

    def create(self) -> int:
        """Make the directory; its lock, held. Raises `OSError`, also when somebody else holds the lock."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = self.lock()
        if descriptor is None:
            raise OSError(f"the lock in {self.path} is held by another process")
        return descriptor

    def write_record(self, record: Record) -> None:
        """What a later driver has to know, and the directory for the program. Raises `OSError`."""
        (self.path / "work").mkdir(mode=0o700, exist_ok=True)
        self._replace("record", json.dumps(asdict(record)))

    def remove(self) -> None:
        """Remove everything. It is renamed first: what a crash half-way leaves cannot be taken for a server."""
        self.set_aside()
        self.remove_remains()

    def set_aside(self) -> None:
        """The quick part of `remove`: from now on there is no such server. What is left is for `remove_remains`."""
        self.remove_remains()
        with suppress(OSError):
            self.path.rename(self._aside)

    def remove_remains(self) -> None:
        """Remove what `set_aside` or an interrupted `remove` left. Takes as long as the program's files are many."""
        shutil.rmtree(self._aside, ignore_errors=True)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(FORGOTTEN + self.key)

    def lock(self) -> int | None:
        """A descriptor that holds the lock until it is closed, or `None` while a keeper (or a driver) holds it."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def record(self) -> Record | None:
        """What `write_record` wrote; `None` when it was interrupted. Raises `OSError` when that cannot be told now."""
        try:
            fields = json.loads((self.path / "record").read_text())
            ports = tuple(
                PortMapping(**{**port, "protocol": PortProtocol(port["protocol"])}) for port in fields["ports"]
            )
            return Record(ports, tuple(fields["checked"]))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def state(self) -> KeeperState | None:
        """The keeper's last word; `None` when it has not spoken, which is before it starts anything.

        Raises `OSError` when that cannot be told now.
        """
        try:
            return KeeperState.parse((self.path / keeper.STATE).read_text(errors="replace"))
        except FileNotFoundError:
            return None

    def end(self, state: KeeperState) -> None:
        """Write the last state in place of a keeper that could not. Only with the lock held. Raises `OSError`."""
        lines = {
            "phase": state.phase,
            "keeper": state.keeper.number,
            "keeper_started": state.keeper.started,
            "restart_count": state.restart_count,
            "spawned_at": state.spawned_at,
            "exit_code": state.exit_code,
            "end_reason": state.end_reason,
            "message": state.message and " ".join(state.message.split()),
        }
        self._replace(keeper.STATE, "".join(f"{name} {value}\n" for name, value in lines.items() if value is not None))

    def ask_to_stop(self, grace_seconds: float) -> None:
        """Leave word for the keeper, which reads it when it gets SIGTERM and when it starts. Raises `OSError`."""
        self._replace(keeper.STOP, str(grace_seconds))

    def is_to_stop(self) -> bool:
        return (self.path / keeper.STOP).exists()

    def write_ready(self, restart_count: int, ready_at: Instant) -> None:
        """Remember which run became ready, so that a later driver need not find out again. Raises `OSError`."""
        self._replace("ready", f"{restart_count} {ready_at}")

    def ready(self) -> tuple[int, Instant] | None:
        """Which run became ready, and when."""
        try:
            restart_count, ready_at = (self.path / "ready").read_text().split()
            return int(restart_count), Instant(int(ready_at))
        except (OSError, ValueError):
            return None

    def output(self) -> str:
        """What the server printed, oldest first."""
        return self._text(keeper.OLDER_LOG) + self._text(keeper.LOG)

    def crash_log(self) -> str | None:
        """The end of what it printed before its last bad end."""
        return self._text(keeper.CRASH) or None

    def keeper_log(self) -> str:
        """What the keeper itself had to complain about."""
        return self._text(_KEEPER_LOG)

    def open_keeper_log(self) -> int:
        return os.open(self.path / _KEEPER_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text(errors="replace")
        except OSError:
            return ""

    def _replace(self, name: str, text: str) -> None:
        new = self.path / f"{name}.driver"
        new.write_text(text)
        new.replace(self.path / name)
