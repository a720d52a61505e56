"""Starting a keeper: the hand-over of a launch, and of the lock, to a new process."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from waymeet.drivers.process.directory import ServerDirectory
from waymeet.drivers.process.programs import Unusable
from waymeet.model.servers import RestartPolicy

# Isolated and without site: nothing on the machine can get into a keeper, and it starts in half the time.
_START = "import sys; sys.path.append(sys.argv[1]); import keeper; keeper.main()"


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """How keepers treat their programs; times in seconds, `log_bytes` per server."""

    log_bytes: int = 1024 * 1024
    first_delay: float = 0.5
    """Before the first restart; doubled for each further one."""
    highest_delay: float = 30.0
    steady: float = 60.0
    """After a run this long the next restart counts as a first one again."""


def start_keeper(
    directory: ServerDirectory,
    lock: int,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    program_directory: Path | None,
    restart_policy: RestartPolicy,
    grace_seconds: float,
    settings: KeeperSettings,
) -> int:
    """The process number of a new keeper, which holds `lock` from its first moment.

    Raises `OSError`, and `Unusable` when a command or variable cannot be handed to any process.
    """
    if any("\0" in text for text in (*command, *environment, *environment.values())):
        raise Unusable("command, arguments and environment cannot hold a zero character")
    if any(not name or "=" in name for name in environment):
        raise Unusable("environment: a variable's name cannot be empty or hold =")
    fields = [
        str(lock),
        directory.key,
        str(program_directory or directory.path / "work"),
        restart_policy.value,
        str(grace_seconds),
        str(settings.log_bytes),
        str(settings.first_delay),
        str(settings.highest_delay),
        str(settings.steady),
        str(len(command)),
        *command,
        *(f"{name}={value}" for name, value in environment.items()),
    ]
    # In memory and without a name: the variables may hold secrets, which have no business on the disk.
    launch = os.memfd_create("waymeet-launch")
    try:
        with os.fdopen(os.dup(launch), "wb") as file:
            file.write(os.fsencode("\0".join(fields)))
        os.lseek(launch, 0, os.SEEK_SET)
        output = directory.open_keeper_log()
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, str(Path(__file__).parent), "waymeet-keeper", directory.key],
                stdin=launch,
                stdout=output,
                stderr=output,
                cwd=directory.path,
                env={},
                pass_fds=[lock],
                start_new_session=True,
            )
        finally:
            os.close(output)
    finally:
        os.close(launch)
    # Collected by the driver, when the process descriptor says so; Popen must not think that it still runs.
    process.returncode = 0
    return process.pid
