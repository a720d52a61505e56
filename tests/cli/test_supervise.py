"""The supervisor with stand-in children: restarts, order of stopping, one run per directory, nobody left behind."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.polling import GENEROUS_SECONDS, eventually
from tests.ports import PortWindow
from waymeet import supervise

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


@dataclass
class Run:
    """A supervisor under test, and what its children noted."""

    directory: Path
    process: subprocess.Popen[str]

    def events(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "events").read_text().splitlines()
        return []

    def pid_of(self, name: str) -> int:
        return eventually(lambda: self._pid_of(name))

    def _pid_of(self, name: str) -> int:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.directory / f"{name}.pid").read_text())
        return 0


class Runs:
    """Starts supervisors, and makes sure that nothing of them is left."""

    def __init__(self, directory: Path, ports: PortWindow) -> None:
        self._directory = directory
        self.ports = ports
        self._started: list[Run] = []

    def start(self, *, first: tuple[str, ...] = (), second: tuple[str, ...] = (), port: int | None = None) -> Run:
        """A supervisor of two children, `first` and `second`, each with its options."""
        port = port or self.ports.take()
        lock = os.open(self._directory / "up.lock", os.O_RDWR | os.O_CREAT)
        plan = {
            "lock": lock,
            "children_lock": str(self._directory / "children.lock"),
            "bind": ["127.0.0.1", port],
            "reach": ["127.0.0.1", port],
            "banner": "all is ready",
            "children": [
                {
                    "name": name,
                    "command": [sys.executable, STAND_IN, name, str(self._directory), "{lifeline}", "{lock}", *options],
                    "farewell": [sys.executable, "-c", f"print('farewell of {name}')"] if name == "second" else None,
                }
                for name, options in (("first", first), ("second", second))
            ],
        }
        file = self._directory / "plan.json"
        file.write_text(json.dumps(plan))
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervise.__file__, str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[lock],
        )
        os.close(lock)
        run = Run(self._directory, process)
        self._started.append(run)
        return run

    def clean_up(self) -> None:
        for run in self._started:
            if run.process.poll() is None:
                run.process.kill()
        for file in self._directory.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for run in self._started:
            run.process.communicate()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with PortWindow() as ports:
        made = Runs(tmp_path, ports)
        yield made
        made.clean_up()


def alive(process: int) -> bool:
    """Whether it runs; a zombie whose parent has not looked yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def open_files(process: int) -> list[Path]:
    return [entry.readlink() for entry in Path(f"/proc/{process}/fd").iterdir()]


def started(run: Run) -> tuple[int, int]:
    """Both children, once each has said that it runs."""
    eventually(lambda: {"first started", "second started"} <= set(run.events()))
    return run.pid_of("first"), run.pid_of("second")


def test_says_that_it_is_ready(runs: Runs) -> None:
    port = runs.ports.take()
    run = runs.start(first=(f"ready={port}",), port=port)
    assert run.process.stdout is not None
    assert run.process.stdout.readline() == "all is ready\n"


def test_starts_a_killed_child_again(runs: Runs) -> None:
    run = runs.start()
    first, second = started(run)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: run.events().count("first started") == 2)
    assert run.pid_of("first") != first
    assert run.pid_of("second") == second
    assert run.process.stderr is not None
    assert run.process.stderr.readline() == "first ended unexpectedly (signal 9); starting it again in 0.2 s\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_children_in_reverse_order(runs: Runs, number: signal.Signals) -> None:
    run = runs.start()
    children = started(run)
    run.process.send_signal(number)
    assert run.process.wait(timeout=GENEROUS_SECONDS) == 0
    assert run.events()[2:] == ["second signal 15", "first signal 15"]
    assert not any(alive(child) for child in children)


def test_second_stop_signal_changes_nothing(runs: Runs) -> None:
    run = runs.start(second=("stubborn",))
    first, second = started(run)
    run.process.send_signal(signal.SIGINT)
    eventually(lambda: "second signal 15" in run.events())
    run.process.send_signal(signal.SIGINT)
    assert run.process.stderr is not None
    assert "already stopping" in run.process.stderr.readline()
    assert "first signal 15" not in run.events(), "the order holds: the first child goes last"
    os.kill(second, signal.SIGKILL)
    assert run.process.wait(timeout=GENEROUS_SECONDS) == 0
    assert not alive(first)


def test_child_that_is_down_at_the_stop_gets_its_farewell(runs: Runs) -> None:
    # A nodes' process that crashed leaves game servers, and nobody else would stop them.
    run = runs.start(second=("failing",))
    run.pid_of("first")
    assert run.process.stderr is not None
    while "in 1.6 s" not in run.process.stderr.readline():
        pass
    run.process.send_signal(signal.SIGTERM)
    said, _ = run.process.communicate()
    assert said == "farewell of second\n"
    assert run.process.returncode == 0


def test_child_that_dies_of_the_stop_signal_gets_its_farewell(runs: Runs) -> None:
    # A nodes' process that has only just started again does not know yet what the signal asks of it.
    run = runs.start(second=("unprepared",))
    started(run)
    run.process.send_signal(signal.SIGTERM)
    said, _ = run.process.communicate()
    assert said == "farewell of second\n"
    assert run.events()[2:] == ["first signal 15"]
    assert run.process.returncode == 0


@pytest.mark.slow
def test_stubborn_children_are_killed_in_time(runs: Runs) -> None:
    run = runs.start(first=("stubborn",), second=("stubborn",))
    children = started(run)
    run.process.send_signal(signal.SIGTERM)
    _, said = run.process.communicate(timeout=GENEROUS_SECONDS)
    assert run.process.returncode == 0
    assert not any(alive(child) for child in children)
    # In the time that is promised, as far as its own clock goes: none gets more than its share.
    assert said.count("did not stop in time and is killed") == 2
    assert supervise.FIRST_CHILD_STOP_SECONDS < supervise.STOP_SECONDS == 15


def test_children_end_when_the_supervisor_is_killed(runs: Runs) -> None:
    run = runs.start()
    children = started(run)
    run.process.kill()
    run.process.wait()
    eventually(lambda: not any(alive(child) for child in children))
    assert sorted(run.events()[2:]) == ["first orphaned", "second orphaned"]


def test_next_run_waits_for_the_children_of_a_killed_one(runs: Runs) -> None:
    killed = runs.start(second=("lingering",))
    first, second = started(killed)
    killed.process.kill()
    killed.process.wait()
    eventually(lambda: not alive(first))
    following = runs.start()
    assert following.process.stderr is not None
    assert following.process.stderr.readline() == "waiting for the processes of an earlier run to end\n"
    assert killed.events().count("first started") == 1
    os.kill(second, signal.SIGKILL)
    eventually(lambda: following.events().count("first started") == 2)


def test_hopeless_child_ends_the_run(runs: Runs) -> None:
    run = runs.start(first=("hopeless",))
    assert run.process.wait(timeout=GENEROUS_SECONDS) == 1


def test_taken_port_is_told_and_nothing_starts(runs: Runs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = runs.start(port=taken.getsockname()[1])
        _, said = run.process.communicate()
    assert run.process.returncode == 1
    assert "choose another with --host and --port" in said
    assert run.events() == []


def test_lock_of_the_directory_is_held_and_not_inherited(runs: Runs, tmp_path: Path) -> None:
    # `waymeet up` takes this lock before it becomes the supervisor. Children must not keep it alive.
    run = runs.start()
    for child in started(run):
        assert tmp_path / "up.lock" not in open_files(child)
        assert tmp_path / "children.lock" in open_files(child)
    assert tmp_path / "up.lock" in open_files(run.process.pid)


def test_stays_small_and_idle(runs: Runs) -> None:
    port = runs.ports.take()
    run = runs.start(first=(f"ready={port}",), port=port)
    started(run)
    assert run.process.stdout is not None
    run.process.stdout.readline()
    status = Path(f"/proc/{run.process.pid}/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0])
    assert resident < 15 * 1024, f"{resident} KiB"
    # It waits without a time limit: the fifth argument of `pselect6` is the address of one.
    eventually(lambda: Path(f"/proc/{run.process.pid}/syscall").read_text().split()[5:6] == ["0x0"])


def test_children_lock_waits_no_longer_than_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "EARLIER_CHILDREN_SECONDS", 0.0)
    file = tmp_path / "children.lock"
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert supervise.lock_children(str(file)) is None
