"""The relays that are measured, each a program of its own on one core."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / "target" / "bench"
RELAY_CORE, LOAD_CORE = 1, 0
START_SECONDS = 30.0
NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log stderr crit;
# Without `multi_accept`, it asks the kernel before each datagram whether there is one.
events {{ worker_connections 16384; multi_accept on; }}
stream {{
    server {{
        listen 127.0.0.1:{ports.clients_at} udp rcvbuf=4m sndbuf=4m;
        proxy_pass {host}:{ports.hosts};
        proxy_timeout 2h;
    }}
}}
"""
FIRST_HOST = "127.64.0.0"
"""The first host's address (`load/flow.c`), the destination of what has but one."""


@dataclass(frozen=True, slots=True)
class Ports:
    """All UDP, in a network of the benchmark's own."""

    clients_at: int
    """Of the relay."""
    hosts_at: int
    clients: int
    """Of the peers."""
    hosts: int

    @classmethod
    def numbered(cls, number: int) -> "Ports":
        return cls(*range(3000 + 10 * number, 3004 + 10 * number))


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    wire: str
    """What its peers speak (`load/wire.h`)."""
    command: Callable[[Ports, int, Path], Sequence[str]]
    is_told: bool = False
    """It is told its sessions on its standard input, as `serve.py` is."""


def bare(ports: Ports, _sessions: int, _directory: Path) -> Sequence[str]:
    return [str(BUILT / "bare"), str(ports.clients_at), str(ports.hosts), FIRST_HOST]


def coturn(ports: Ports, _sessions: int, directory: Path) -> Sequence[str]:
    """No authentication, no logging, one thread that relays; lifetimes longer than any run."""
    options = {
        "-m": "1",
        "-L": "127.0.0.1",
        "-E": "127.0.0.1",
        "-p": str(ports.clients_at),
        "-b": str(directory / "turn.sqlite3"),
        "-r": "bench",
        "--min-port": "10000",
        "--max-port": "29999",
        "--max-allocate-lifetime": "7200",
        "--channel-lifetime": "7200",
        "--permission-lifetime": "7200",
        "--pidfile": str(directory / "turn.pid"),
        "--log-file": "/dev/null",
    }
    flags = [
        "-n",
        "--no-auth",
        "--no-tls",
        "--no-dtls",
        "--no-tcp",
        "--no-tcp-relay",
        "--no-cli",
        "--allow-loopback-peers",
    ]
    flags += ["--no-software-attribute", "--no-rfc5780", "--simple-log", "--no-stdout-log"]
    return ["turnserver", *flags, *(word for option in options.items() for word in option)]


def nginx(ports: Ports, _sessions: int, directory: Path) -> Sequence[str]:
    configuration = directory / "nginx.conf"
    configuration.write_text(NGINX.format(ports=ports, host=FIRST_HOST, directory=directory))
    return ["nginx", "-p", str(directory), "-c", str(configuration)]


def node(ports: Ports, sessions: int, _directory: Path) -> Sequence[str]:
    return ["node", str(HERE / "node_relay.js"), str(ports.hosts_at), str(ports.clients_at), str(sessions)]


def ours(kind: str) -> Callable[[Ports, int, Path], Sequence[str]]:
    def command(ports: Ports, _sessions: int, _directory: Path) -> Sequence[str]:
        return [sys.executable, str(HERE / "serve.py"), kind, str(ports.hosts_at), str(ports.clients_at)]

    return command


CONTENDERS = (
    Contender("bare", "plain", bare),
    Contender("native", "relay", ours("native"), is_told=True),
    Contender("coturn", "turn", coturn),
    Contender("nginx", "plain", nginx),
    Contender("node", "relay", node),
    Contender("python", "relay", ours("python"), is_told=True),
)


def build_of_ours(name: str, program: str) -> Contender:
    """The native relay as a program of its own (relay/io/examples)."""

    def command(ports: Ports, _sessions: int, _directory: Path) -> Sequence[str]:
        return [program, str(ports.hosts_at), str(ports.clients_at)]

    return Contender(name, "relay", command, is_told=True)


class Running:
    """A contender at work, pinned to the relays' core."""

    def __init__(self, contender: Contender, ports: Ports, sessions: int, directory: Path) -> None:
        """Returns when its port is open. It knows no sessions yet, where it is told them."""
        self.contender = contender
        self.ports = ports
        directory.mkdir()
        command = contender.command(ports, sessions, directory)
        if shutil.which(command[0], path=search_path()) is None:
            raise SystemExit(f"{command[0]} is missing: tools/install-bench-tools")
        self._process = subprocess.Popen(
            ["taskset", "-c", str(RELAY_CORE), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if contender.is_told else subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PATH": search_path()},
        )
        if contender.is_told:
            self._expect("open")
        deadline = time.monotonic() + START_SECONDS
        while not is_bound(ports.clients_at):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{contender.name} did not start")
            time.sleep(0.02)

    def tell(self, sessions: int) -> None:
        """Have it serve so many sessions."""
        if self.contender.is_told:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{sessions}\n")
            self._process.stdin.flush()
            self._expect("ready")

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != word:
            raise SystemExit(f"{self.contender.name} ended")

    @property
    def processes(self) -> list[int]:
        """It, and those that it has started."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    @property
    def resident_bytes(self) -> int:
        return sum(resident_kib(pid) for pid in self.processes) * 1024

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def search_path() -> str:
    """Debian has servers where ordinary users do not look."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def is_bound(port: int) -> bool:
    bound = (line.split()[1] for line in Path("/proc/self/net/udp").read_text().splitlines()[1:])
    return any(int(address.rpartition(":")[2], 16) == port for address in bound)


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
