"""The processes of one installation, found in /proc; and a way to kill one of them and never anybody else's."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MARK = "WAYMEET_INSTALLATION_UNDER_TEST"
"""Set in the environment of each program that an installation starts; children inherit it. Keepers and game servers do not:
those are known by their directory."""

_PROC = Path("/proc")


class Role(StrEnum):
    """What a process of an installation is there for."""

    SUPERVISOR = "supervisor"
    CONTROL_PLANE = "control plane"
    NODES = "nodes"
    KEEPER = "keeper"
    GAME_SERVER = "game server"
    OTHER = "other"


@dataclass(frozen=True)
class Process:
    """A process as it was when somebody looked. Number and start time together name it for good."""

    number: int
    started: int
    role: Role
    request_id: str | None = None
    """Of keepers and game servers: whose they are."""

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        stat = _stat(self.number)
        return stat is not None and stat[0] != "Z" and int(stat[19]) == self.started

    def send(self, number: signal.Signals) -> bool:
        """Signal it; whether it was still there. The number may be somebody else's by now: they get nothing."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.number)
            try:
                if self.is_alive():
                    signal.pidfd_send_signal(descriptor, number)
                    return True
            finally:
                os.close(descriptor)
        return False

    def kill(self) -> bool:
        """`kill -9`; whether it was still there."""
        return self.send(signal.SIGKILL)

    @property
    def resident_kib(self) -> int:
        """Its proportional share of memory (PSS); 0 when it has ended."""
        return sum(
            int(line.split()[1]) for line in _text(self.number, "smaps_rollup").splitlines() if line[:4] == "Pss:"
        )

    @property
    def processor_seconds(self) -> float:
        """What it has used so far, in user and kernel mode; 0 when it has ended."""
        stat = _stat(self.number)
        return 0.0 if stat is None else (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def processes_of(directory: Path, mark: str) -> list[Process]:
    """Every living process of the installation with this directory and mark."""
    return list(_find(directory.resolve(), mark))


def _find(directory: Path, mark: str) -> Iterator[Process]:
    below = f"{directory}/"
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        number = int(entry.name)
        command = _text(number, "cmdline").split("\0")
        environment = _environment(number)
        server = environment.get("WAYMEET_SERVER", "")
        role, request_id = Role.OTHER, None
        if server.startswith(below):
            role, request_id = Role.GAME_SERVER, environment.get("ARBITRIUM_REQUEST_ID")
        elif "waymeet-keeper" in command and f"{_working_directory(number)}/".startswith(below):
            role, request_id = Role.KEEPER, command[command.index("waymeet-keeper") + 1]
        elif environment.get(MARK) == mark:
            role = _role_of(command)
        else:
            continue
        stat = _stat(number)
        if stat is not None and stat[0] != "Z":
            yield Process(number, int(stat[19]), role, request_id)


def _role_of(command: list[str]) -> Role:
    if any(part.endswith("/supervise.py") for part in command):
        return Role.SUPERVISOR
    words = set(command)
    if not words & {"waymeet.cli", "waymeet.cli.child"}:
        return Role.OTHER
    if "serve" in words:
        return Role.CONTROL_PLANE
    if words & {"nodes", "node", "stop-servers"}:
        return Role.NODES
    return Role.SUPERVISOR if "up" in words else Role.OTHER


def _environment(number: int) -> dict[str, str]:
    entries = (entry.partition("=") for entry in _text(number, "environ").split("\0"))
    return {name: value for name, _, value in entries}


def _working_directory(number: int) -> str:
    try:
        return str((_PROC / str(number) / "cwd").readlink())
    except OSError:
        return ""


def _stat(number: int) -> list[str] | None:
    """Fields of `stat` from the third (state) on: the second, a name, may hold anything, even `)`."""
    content = _text(number, "stat")
    return content.rpartition(")")[2].split() if content else None


def _text(number: int, name: str) -> str:
    try:
        return (_PROC / str(number) / name).read_bytes().decode(errors="replace")
    except OSError:
        return ""
