"""The parent of `waymeet up`: starts the children of a plan, starts them again when they crash, stops them in order.

    python -m waymeet.supervise PLAN.json

Standard library only, and little of it: this process stays for as long as `waymeet up` runs, and does nothing but wait.

- Children are in process groups of their own, so Ctrl-C on the terminal reaches this process alone and the order holds.
- Each inherits the reading end of a pipe that only this process can write to. End-of-file there means that this process
  is gone, however it went, and the child ends by itself.
- Each also inherits the lock on `children_lock`. While any child of an earlier run lives, the lock is held, and
  a new run waits for it: two control planes never share a directory.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
SOUND_AFTER_SECONDS = 10.0
"""A child that lived this long is taken for sound: its next restart waits `FIRST_PAUSE_SECONDS` again."""

STOP_SECONDS = 15.0
FIRST_CHILD_STOP_SECONDS = 12.0
"""Nodes get this much of `STOP_SECONDS` to stop their game servers; what remains is the control plane's."""
KILL_MARGIN_SECONDS = 0.5

EARLIER_CHILDREN_SECONDS = 30.0
READY_CHECK_SECONDS = 0.1

GIVE_UP = 78
"""A child that ends with this code (`EX_CONFIG`) says that starting it again would not help."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Child:
    """One program of the plan, running or waiting to be started again."""

    def __init__(self, name: str, command: list[str], farewell: list[str] | None = None) -> None:
        self.name = name
        self.command = command
        self.farewell = farewell
        """What to run at the stop when it is down then, or does not end well: it tidies up in its place and ends."""
        self.process: int | None = None
        self.started_at = 0.0
        self.start_at: float | None = 0.0
        """When to start it; `None` while it runs."""
        self.pause = FIRST_PAUSE_SECONDS

    def start(self, now: float, lifeline: int, lock: int, *, farewell: bool = False) -> None:
        """Start it, or its farewell. `{lifeline}` and `{lock}` in the command become descriptors that it inherits."""
        parts = (self.farewell or []) if farewell else self.command
        command = [part.replace("{lifeline}", str(lifeline)).replace("{lock}", str(lock)) for part in parts]
        os.set_inheritable(lifeline, True)
        os.set_inheritable(lock, True)
        self.process = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setpgroup=0,
            # A shell may have started us in the background with SIGINT ignored, which children would inherit.
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
        )
        os.set_inheritable(lifeline, False)
        os.set_inheritable(lock, False)
        self.started_at = now
        self.start_at = None

    def ended(self, now: float) -> float:
        """Note that it is gone; the pause before it is started again, longer each time in a row."""
        self.process = None
        if now - self.started_at >= SOUND_AFTER_SECONDS:
            self.pause = FIRST_PAUSE_SECONDS
        pause = self.pause
        self.pause = min(LONGEST_PAUSE_SECONDS, self.pause * 2)
        self.start_at = now + pause
        return pause

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, number)

    def kill(self) -> None:
        """End it and whatever it started in its process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process, signal.SIGKILL)


class Supervisor:
    """Runs `children`, started in this order and stopped in reverse, until told to stop."""

    def __init__(self, children: list[Child], lock: int, address: tuple[str, int], banner: str) -> None:
        self._children = children
        self._lock = lock
        self._address = address
        self._banner = banner
        self._ready = False
        self._stop_asked = False
        self._lifeline, self._lifeline_writer = os.pipe()
        # Signals arrive as bytes on this pipe, so one `select` waits for all there is: children, requests.
        self._wake, wake_writer = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _STOP_SIGNALS:
            # `nohup waymeet up` outlives its terminal. An ignored SIGINT, however, is what shells give to jobs
            # in the background, and says nothing.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_stop_signal)

    def run(self) -> int:
        """The exit code, once everything is stopped."""
        code = 0
        while not self._stop_asked:
            now = _now()
            for child in self._children:
                if child.start_at is not None and child.start_at <= now:
                    child.start(now, self._lifeline, self._lock)
            self._greet_when_ready()
            self._sleep(self._seconds_to_next_step(now))
            for child, status in self._reap():
                if status == GIVE_UP:
                    code = 1
                    self._stop_asked = True
                elif not self._stop_asked:
                    pause = child.ended(time.monotonic())  # lint: allow clock, see above
                    say(f"{child.name} ended unexpectedly ({_description(status)}); starting it again in {pause:g} s")
        self._stop()
        return code

    def _stop(self) -> None:
        self._stop_asked = False
        started = _now()
        shares = [FIRST_CHILD_STOP_SECONDS, STOP_SECONDS - KILL_MARGIN_SECONDS]
        for position, child in enumerate(reversed(self._children)):
            deadline = started + shares[min(position, len(shares) - 1)]
            child.signal(signal.SIGTERM)
            # A child that has only just started may die of the signal before it knows what to do about it.
            ended_well = child.process is not None and self._wait_for(child, deadline) == 0
            if child.process is None and not ended_well and child.farewell is not None:
                child.start(_now(), self._lifeline, self._lock, farewell=True)
                self._wait_for(child, deadline)
            if child.process is not None:
                say(f"{child.name} did not stop in time and is killed")
                child.kill()
                self._wait_for(child, deadline + KILL_MARGIN_SECONDS)

    def _wait_for(self, child: Child, deadline: float) -> int | None:
        """The child's exit code; `None` when it is still there at the deadline."""
        while (left := deadline - _now()) > 0:
            for ended, status in self._reap():
                if ended is child:
                    return status
            self._sleep(left)
            if self._stop_asked:
                self._stop_asked = False
                say(f"already stopping; this takes {STOP_SECONDS:g} s at most")
        return None

    def _reap(self) -> list[tuple[Child, int]]:
        """Children that ended since the last call, with their exit code (negative: the signal)."""
        ended: list[tuple[Child, int]] = []
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if process == 0:
                return ended
            for child in self._children:
                # Others may turn up when this is process 1 of a container: reaping them is all they need.
                if child.process == process:
                    child.process = None
                    ended.append((child, os.waitstatus_to_exitcode(status)))

    def _seconds_to_next_step(self, now: float) -> float | None:
        starts = [child.start_at - now for child in self._children if child.start_at is not None]
        if not self._ready:
            starts.append(READY_CHECK_SECONDS)
        return max(0.0, min(starts)) if starts else None

    def _sleep(self, seconds: float | None) -> None:
        readable, _, _ = select.select([self._wake], [], [], seconds)
        if readable:
            os.read(self._wake, 4096)

    def _greet_when_ready(self) -> None:
        if not self._ready and answers_ready(self._address):
            self._ready = True
            say(self._banner, stream=1)

    def _on_stop_signal(self, number: int, frame: object) -> None:
        self._stop_asked = True


def answers_ready(address: tuple[str, int]) -> bool:
    """Whether `GET /readyz` answers 200. By hand, because an HTTP library would double this process."""
    host, port = address
    try:
        with socket.create_connection(address, timeout=1) as connection:
            connection.sendall(f"GET /readyz HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def port_problem(address: tuple[str, int]) -> str | None:
    """Why nothing can listen on `address`, or `None` when it is free."""
    host, port = address
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return f"cannot listen on {host} port {port}: {error.strerror}; choose another with --host and --port"
    return None


def lock_children(path: str) -> int | None:
    """The descriptor that holds the lock of this run's children, or `None` when an earlier run's stay too long."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + EARLIER_CHILDREN_SECONDS  # lint: allow clock, see above
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _now() > deadline:
                os.close(lock)
                return None
            if not told:
                say("waiting for the processes of an earlier run to end")
                told = True
            time.sleep(0.1)
        else:
            return lock


def say(text: str, stream: int = 2) -> None:
    """One message to the operator, on standard error by default."""
    # The terminal or pipe may be gone; that is no reason to end.
    with contextlib.suppress(OSError):
        os.write(stream, f"{text}\n".encode())


def _now() -> float:
    return time.monotonic()


def _description(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    return f"signal {-status}"


def main(plan_file: str) -> int:
    with open(plan_file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would cost this process a megabyte
        plan = json.load(file)
    # Locked by `waymeet up` before it became this program; held for as long as this process lives, by no child.
    os.set_inheritable(plan["lock"], False)
    lock = lock_children(plan["children_lock"])
    if lock is None:
        say(
            f"processes of an earlier `waymeet up` still use this directory after {EARLIER_CHILDREN_SECONDS:g} s; "
            f"`fuser {plan['children_lock']}` shows them"
        )
        return 1
    problem = port_problem(tuple(plan["bind"]))
    if problem is not None:
        say(problem)
        return 1
    children = [Child(entry["name"], entry["command"], entry.get("farewell")) for entry in plan["children"]]
    return Supervisor(children, lock, tuple(plan["reach"]), plan["banner"]).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
