"""The keeper: one small process above each game server, which outlives the node and answers for the server alone.

The driver starts it with the server's lock already held on a descriptor that it inherits, and with the launch (see
`Launch`) as its standard input; its working directory is the server's own. It then

- runs the program in a process group of its own, so that the kernel kills the program should the keeper be killed;
- keeps what the program prints, the newest `log_bytes` of it, and the tail of it before the last bad end;
- starts it again as the restart policy says, waiting longer each time;
- on SIGTERM stops it: SIGTERM to the group, SIGKILL to whatever is left when the grace period is over;
- writes every change to the file `state` and sends the server's key to the driver's bell.

When the lock is free, therefore, no keeper runs; and a program without a keeper is dead, or about to be found by the
driver.

It runs for as long as the server does, once per server, so it must stay small: no module of ours, and from the standard
library none that imports `enum` (as `signal`, `socket`, `json` and `subprocess` do), which would cost each server a
megabyte and a third of its start time.
"""

# `pathlib` and `contextlib` are among those modules.
# ruff: noqa: PTH104, PTH108, PTH109, PTH110, PTH118, PTH123

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for what `signal` wraps
import _socket
import ctypes
import os
import select
import sys
import time

STATE = "state"
STOP = "stop"
LOG = "log"
OLDER_LOG = "log.older"
CRASH = "crash"
NOTIFY = "notify"
BELL = "../bell"

CRASH_BYTES = 8 * 1024
CHUNK_BYTES = 64 * 1024
SOCKET_PATH_BYTES = 107
KILL_SECONDS = 2.0
HIGHEST_GRACE_SECONDS = 3600.0
RETRY_SECONDS = 0.1

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Launch:
    """What to run and how, as the driver handed it over: fields separated by zero bytes.

    It comes through an open file without a name, never through a named one: it holds the server's secrets.
    """

    FIELDS = (
        "lock",
        "key",
        "directory",
        "restart_policy",
        "grace_seconds",
        "log_bytes",
        "first_delay_seconds",
        "highest_delay_seconds",
        "steady_seconds",
        "argument_count",
    )

    def __init__(self, payload: bytes) -> None:
        fields = payload.split(b"\0")
        named = dict(zip(self.FIELDS, fields, strict=False))
        rest = fields[len(self.FIELDS) :]
        self.lock = int(named["lock"])
        self.key = named["key"]
        self.directory = named["directory"]
        self.restart_policy = named["restart_policy"]
        self.grace_seconds = float(named["grace_seconds"])
        self.log_bytes = int(named["log_bytes"])
        self.first_delay_seconds = float(named["first_delay_seconds"])
        self.highest_delay_seconds = float(named["highest_delay_seconds"])
        self.steady_seconds = float(named["steady_seconds"])
        count = int(named["argument_count"])
        self.arguments = rest[:count]
        self.environment = dict(variable.split(b"=", 1) for variable in rest[count:])


class Log:
    """The newest output, in two halves: when the newer is full it replaces the older. A full disk loses output only."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._file = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._written = os.fstat(self._file).st_size
        self.tail = bytearray()

    def write(self, chunk: bytes) -> None:
        self.tail += chunk
        del self.tail[:-CRASH_BYTES]
        try:
            while chunk:
                if self._written >= self._half:
                    self._turn()
                count = os.write(self._file, chunk[: self._half - self._written])
                self._written += count
                chunk = chunk[count:]
        except OSError:
            pass

    def _turn(self) -> None:
        os.rename(LOG, OLDER_LOG)
        os.close(self._file)
        self._file = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._written = 0


class Keeper:
    """Runs one program from its first start to its last end."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._log = Log(launch.log_bytes)
        self._libc = ctypes.CDLL(None)
        self._poll = select.poll()
        self._notify = self._bind_notify()
        path = os.path.join(os.getcwdb(), NOTIFY.encode())
        # A socket's path is short by law of the kernel; below a long one there is this way round.
        self._notify_path = path if len(path) <= SOCKET_PATH_BYTES else f"/proc/{os.getpid()}/cwd/{NOTIFY}".encode()
        self._bell = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        self._untold = False
        self._wake = self._catch_signals()
        self._output = -1
        self._program = 0
        self._status: int | None = None
        self._stop_asked = False
        self._stop_began: float | None = None
        self._grace = launch.grace_seconds
        self._delay = launch.first_delay_seconds
        self._state: dict[str, object] = {
            "phase": "starting",
            "keeper": os.getpid(),
            "keeper_started": _started(os.getpid()),
            "restart_count": 0,
            "said_ready": 0,
        }

    def run(self) -> None:
        """Returns when the server has ended for good and `state` says so."""
        # Descendants that lose their parent become the keeper's children, whatever session they moved to: none escapes.
        self._prctl(_PR_SET_CHILD_SUBREAPER, 1)
        if os.path.exists(STOP):
            self._stop_asked = True
        self._save()
        while not self._stop_asked:
            failure = self._spawn()
            if failure is not None:
                self._end("start_failed", message=failure)
                return
            began = time.monotonic()
            self._attend()
            if self._judge(steady=time.monotonic() - began >= self._launch.steady_seconds):
                return
            self._pause()
        self._end("stopped")

    def _spawn(self) -> str | None:
        """Start the program; what went wrong, if anything did."""
        while self._read_notification():
            pass  # Words of the program before it ended: not to be taken for the new one's.
        output, program_output = os.pipe()
        failure, program_failure = os.pipe()
        keeper = os.getpid()
        self._program = os.fork()
        if self._program == 0:
            self._become_program(keeper, program_output, program_failure)
        os.close(program_output)
        os.close(program_failure)
        # Closed by the kernel when the program has taken over: from here on its process group exists.
        trouble = os.read(failure, 1024)
        os.close(failure)
        if trouble:
            os.waitpid(self._program, 0)
            os.close(output)
            return trouble.decode(errors="replace")
        os.set_blocking(output, False)
        self._poll.register(output, select.POLLIN)
        self._output = output
        self._status = None
        self._state.update(
            phase="running",
            program=self._program,
            program_started=_started(self._program),
            spawned_at=time.time_ns() // 1000,
            said_ready=0,
        )
        self._save()
        return None

    def _become_program(self, keeper: int, output: int, failure: int) -> None:
        """In the new process: replace it by the program. Never returns."""
        try:
            os.setpgid(0, 0)
            self._prctl(_PR_SET_PDEATHSIG, int(_signal.SIGKILL))
            if os.getppid() != keeper:
                os._exit(127)  # The keeper died before the kernel knew whom to tell.
            _signal.set_wakeup_fd(-1)
            # Ours, those that the interpreter ignores, and those that whoever started the node did: a shell has the jobs
            # in its background ignore SIGINT and SIGQUIT.
            for number in _signal.valid_signals():
                if _signal.getsignal(number) not in (_signal.SIG_DFL, None):
                    _signal.signal(number, _signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(self._launch.directory)
            environment = {b"NOTIFY_SOCKET": self._notify_path, **self._launch.environment}
            os.execvpe(self._launch.arguments[0], self._launch.arguments, environment)
        except OSError as error:
            os.write(failure, f"cannot run {os.fsdecode(self._launch.arguments[0])}: {error.strerror}".encode())
        finally:
            os._exit(127)

    def _attend(self) -> None:
        """Look after the program until none of its processes is left."""
        killed_at: float | None = None
        while not self._reap():
            now = time.monotonic()
            if self._stop_asked and self._stop_began is None:
                self._stop_began = now
                self._state["phase"] = "stopping"
                self._save()
                self._signal_group(_signal.SIGTERM)
            deadline = None if self._stop_began is None else self._stop_began + self._grace
            over = (deadline is not None and now >= deadline) or (self._status is not None and self._stop_began is None)
            if over:
                self._signal_group(_signal.SIGKILL)
                for child in _children():
                    _kill(child)
                killed_at = killed_at or now
                if now - killed_at > KILL_SECONDS:
                    break  # Stuck in the kernel, or hidden from us: the driver's search by mark is the net below.
                deadline = now + 0.01
            self._wait(deadline)
        self._read_output(rounds=256)
        self._close_output()

    def _reap(self) -> bool:
        """Collect ended children; whether none is left."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return True
            if ended is None:
                return False
            if ended.si_pid == self._program and self._stop_began is None:
                # Before it is collected: afterwards the group's number may belong to somebody else.
                self._signal_group(_signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            if ended.si_pid == self._program:
                self._status = status

    def _signal_group(self, number: int) -> None:
        if self._status is None:
            try:
                os.killpg(self._program, number)
            except ProcessLookupError:
                pass

    def _judge(self, *, steady: bool) -> bool:
        """Write down how the program ended; whether that was the end of the server."""
        # Without a status it was killed, and the kernel has not let go of it yet.
        status = -int(_signal.SIGKILL) if self._status is None else os.waitstatus_to_exitcode(self._status)
        code = status if status >= 0 else 128 - status
        message = f"exited with code {status}" if status >= 0 else f"killed by signal {-status}"
        if status < 0 and (name := _signal.strsignal(-status)):
            message += f" ({name})"
        self._state["exit_code"] = code
        if self._stop_began is not None:
            self._end("stopped")
            return True
        if code:
            self._state["message"] = message
            _replace(CRASH, bytes(self._log.tail))
        policy = self._launch.restart_policy
        if policy == b"always" or (policy == b"on_failure" and code):
            if steady:
                self._delay = self._launch.first_delay_seconds
            return False
        self._end("crashed" if code else "exited", message=message)
        return True

    def _pause(self) -> None:
        """Wait before the next start, unless told to stop."""
        self._state.update(phase="waiting", said_ready=0)
        self._save()
        deadline = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, self._launch.highest_delay_seconds)
        while not self._stop_asked and time.monotonic() < deadline:
            self._wait(deadline)
        self._state["restart_count"] = int(str(self._state["restart_count"])) + (0 if self._stop_asked else 1)

    def _end(self, reason: str, message: str | None = None) -> None:
        self._state.update(phase="ended", end_reason=reason)
        if message is not None:
            self._state["message"] = message
        elif reason == "stopped":
            self._state.pop("message", None)
        self._save()

    def _wait(self, deadline: float | None) -> None:
        """Until something happens or `deadline` is reached."""
        if self._untold:
            soon = time.monotonic() + RETRY_SECONDS
            deadline = soon if deadline is None else min(soon, deadline)
        wait_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000 + 1
        for descriptor, _ in self._poll.poll(wait_ms):
            if descriptor == self._output:
                self._read_output(rounds=16)
            elif descriptor == self._wake:
                self._read_signals()
            elif b"READY=1" in self._read_notification().split(b"\n") and not self._state["said_ready"]:
                self._state["said_ready"] = 1
                self._save()
        if self._untold:
            self._save()

    def _read_output(self, rounds: int) -> None:
        # A bounded number of rounds, so that a server that never stops printing can still be told to stop.
        for _ in range(rounds):
            if self._output < 0:
                return
            try:
                chunk = os.read(self._output, CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                # Every writer closed it, though the program may live on: polled further, it would never let us sleep.
                self._close_output()
                return
            self._log.write(chunk)

    def _close_output(self) -> None:
        if self._output >= 0:
            self._poll.unregister(self._output)
            os.close(self._output)
            self._output = -1

    def _read_signals(self) -> None:
        try:
            numbers = os.read(self._wake, 512)
        except BlockingIOError:
            return
        if _signal.SIGTERM in numbers:
            self._stop_asked = True
            try:
                with open(STOP) as stop:
                    # A later request may only shorten the wait: a stop is never taken back or put off.
                    self._grace = min(self._grace, float(stop.read()))
            except (OSError, ValueError):
                pass  # Stopped by hand: the grace period of the launch holds.

    def _read_notification(self) -> bytes:
        """What the program says about itself, as `sd_notify(3)` sends it; empty when it said nothing."""
        try:
            return bytes(self._notify.recv(4096))
        except BlockingIOError:
            return b""

    def _save(self) -> None:
        """Write the state down and tell the driver; what does not succeed now is tried again soon."""
        lines = (f"{name} {str(value).translate(_ONE_LINE)}\n" for name, value in self._state.items())
        self._untold = not _replace(STATE, "".join(lines).encode(errors="replace")) or not self._ring()

    def _ring(self) -> bool:
        try:
            self._bell.sendto(self._launch.key, BELL)
        except BlockingIOError:
            return False
        except OSError:
            pass  # No driver runs. The next one listens first and then reads every state.
        return True

    def _bind_notify(self) -> _socket.socket:
        endpoint = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        try:
            os.unlink(NOTIFY)
        except FileNotFoundError:
            pass
        endpoint.bind(NOTIFY)
        self._poll.register(endpoint.fileno(), select.POLLIN)
        return endpoint

    def _catch_signals(self) -> int:
        wake, signalled = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(signalled, False)
        _signal.set_wakeup_fd(signalled)
        for number in (_signal.SIGTERM, _signal.SIGCHLD):
            _signal.signal(number, _ignore)
        # Its session has no terminal; these reach it only when somebody signals whole process trees.
        for number in (_signal.SIGINT, _signal.SIGHUP):
            _signal.signal(number, _signal.SIG_IGN)
        self._poll.register(wake, select.POLLIN)
        return wake

    def _prctl(self, option: int, value: int) -> None:
        if sys.platform == "linux":
            self._libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def main() -> None:
    """Read the launch from standard input and keep the server until its end."""
    with open(0, "rb", closefd=False) as payload:
        launch = Launch(payload.read())
    os.set_inheritable(launch.lock, False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    Keeper(launch).run()


_ONE_LINE = {10: " ", 13: " "}


def _ignore(_number: int, _frame: object) -> None:
    """The byte on the wake-up pipe is what counts."""


def _replace(name: str, content: bytes) -> bool:
    """Replace a file in one step: who reads it sees the old content or the new. False when the disk is full."""
    try:
        with open(f"{name}.new", "wb") as file:
            file.write(content)
        os.rename(f"{name}.new", name)
    except OSError:
        return False
    return True


def _started(process: int) -> int:
    """When `process` started, in ticks since boot: with its number, what tells it from every other. 0 if unknown."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return 0


def _children() -> list[int]:
    """Living children, adopted ones included."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [int(number) for number in file.read().split()]
    except OSError:
        return []


def _kill(process: int) -> None:
    try:
        os.kill(process, _signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # Gone, or a program of another user: its end cannot be forced, and must not keep us from ours.
