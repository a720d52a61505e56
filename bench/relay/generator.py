"""The load generator (`load/`) at work against one contender."""

import json
import shutil
import subprocess
from dataclasses import dataclass

from bench.relay.contenders import BUILT, HERE, LOAD_CORE, Running
from bench.relay.ratios import Slice

COMPILER = ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is offered, from clients to hosts unless said otherwise."""

    shortest: int = 64
    """Bytes of UDP payload on the way to the relay; scattered between this and `longest`."""
    longest: int = 64
    flows: int = 100
    together: int = 1
    """Datagrams of one peer that leave as one packet."""
    in_flight: int = 256
    """Closed loop: as many datagrams are on their way at any time. 0: an open one."""
    rate: int = 0
    """Open loop: datagrams per second."""
    senders: str = "clients"


def build() -> None:
    """Compile what is in C."""
    if shutil.which("cc") is None:
        raise SystemExit("a C compiler is missing: tools/install-bench-tools")
    BUILT.mkdir(parents=True, exist_ok=True)
    subprocess.run([*COMPILER, "-o", BUILT / "load", *sorted((HERE / "load").glob("*.c"))], check=True)
    subprocess.run([*COMPILER, "-o", BUILT / "bare", HERE / "bare.c"], check=True)


class Generator:
    """Sleeps when it measures nothing."""

    def __init__(self, running: Running, flows: int) -> None:
        """Returns when the relay knows all peers of so many flows."""
        ports = running.ports
        command = ["taskset", "-c", str(LOAD_CORE), str(BUILT / "load"), running.contender.wire]
        command += map(str, (ports.clients_at, ports.hosts_at, ports.clients, ports.hosts, flows, *running.processes))
        self._name = running.contender.name
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._hear()

    def run(self, plan: Plan, seconds: float) -> Slice:
        assert self._process.stdin is not None
        words = (
            "run",
            seconds,
            plan.shortest,
            plan.longest,
            plan.flows,
            plan.senders,
            plan.together,
            plan.in_flight,
            plan.rate,
        )
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return Slice(**json.loads(self._hear()))

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the load generator gave up on {self._name}")
        return line

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
