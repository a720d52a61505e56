"""What the control plane's calls cost, against a static JSON endpoint of the same server.

    python bench/control.py [--rounds 12] [--seconds 1] [--postgres postgresql://user@host/database]

One `waymeet serve` per database, pinned to one core; `wrk` (Debian: apt-get install wrk) on the other one. The kinds of
calls take turns in shuffled slices, so that a noisy neighbour meets all of them alike; reported are the medians over the
rounds of each slice's ratio to the static slice of the same round:

- `rate`: requests per second, as wrk counted them;
- `cpu`: requests per second of CPU time that the server's process used, which other load on the machine hardly touches.

Scale: the same `GET` with 100 and with 100,000 sessions stored, the same `POST` with 10 deployments over 5 locations and
with 2,000 over 200, in alternating slices of two servers that run side by side.
"""

import argparse
import asyncio
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from waymeet.clock import SystemClock
from waymeet.deployments.types import Deployment, DeploymentSettings
from waymeet.locations.types import NodeProfile
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId
from waymeet.model.location import Location
from waymeet.model.node_messages import Role
from waymeet.model.servers import PortMapping, PortProtocol, ServerSpec
from waymeet.model.states import DeploymentStatus, SessionKind
from waymeet.store.migrate import ensure_migrated
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore
from waymeet.store.transaction import Transaction

TOKEN = "bench-token-0123456789"
SERVER_CORE, CLIENT_CORE = 0, 1
CONNECTIONS = 32
SETTINGS = "[limits]\ndeployment_create = 0\ndeployment_status = 0\ndeployment_list = 0\ndefault = 0\n"
VERSION = {
    "name": "1",
    "docker_repository": "local",
    "docker_image": "waymeet/echo",
    "docker_tag": "1",
    "req_cpu": 128,
    "req_memory": 128,
    "ports": [{"port": 7777, "protocol": "UDP", "name": "game"}],
    "session_config": {"kind": "Seat", "sockets": 1_000_000, "autodeploy": True},
}
GROUP = (
    '{"app_name":"bench","version_name":"1","geo_ip_list":['
    '{"ip":"203.0.113.7","latitude":48.85,"longitude":2.35},{"ip":"203.0.113.8","latitude":50.85,"longitude":3.35}]}'
)


@dataclass(frozen=True)
class Slice:
    """What one slice of wrk measured."""

    rate: float
    per_cpu_second: float


class Server:
    """One `waymeet serve` on loopback, with deployments that are ready as far as the store knows."""

    def __init__(self, name: str, url: str, port: int, directory: Path, settings: str = SETTINGS) -> None:
        self.name = name
        self.database_url = url
        self.url = f"http://127.0.0.1:{port}"
        config = directory / "bench.toml"
        config.write_text(settings)
        command = [sys.executable, "-m", "waymeet.cli", "serve", "--config", str(config), "--data", str(directory)]
        command += ["--port", str(port), "--token", TOKEN, "--database-url", url, "--log-level", "error"]
        self.process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command])
        self._http = httpx.Client(headers={"Authorization": f"token {TOKEN}"}, timeout=30)
        self._directory = directory
        deadline = time.monotonic() + 60
        while True:
            try:
                if self._http.get(f"{self.url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise SystemExit(f"{name}: the server did not start")
            time.sleep(0.05)

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        answer = self._http.request(method, f"{self.url}{path}", json=body)
        if answer.status_code >= 300:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json()) if answer.content else {}

    def prepare(self, deployments: int, locations: int) -> str:
        """Make the application and `deployments` ready servers over `locations`; the id of one session."""
        self.call("POST", "/v1/app", {"name": "bench", "is_active": True, "image": ""})
        self.call("POST", "/v1/app/bench/version", VERSION)
        asyncio.run(_seed(self.database_url, deployments, locations))
        # The server hears of nodes by a bell or, as here where another program wrote them, by looking every 5 s.
        time.sleep(6)
        return str(self.call("POST", "/v1/session", _group())["session_id"])

    def measure(self, seconds: int, path: str, body: str | None = None) -> Slice:
        """One slice of wrk on a path, a GET or, with a body, a POST."""
        command = ["taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        command += ["-H", f"Authorization: token {TOKEN}"]
        if body is not None:
            script = self._directory / "post.lua"
            script.write_text(
                f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = [[{body}]]\n"
            )
            command += ["-s", str(script)]
        before = self.cpu_seconds()
        output = subprocess.run([*command, f"{self.url}{path}"], capture_output=True, text=True, check=True).stdout
        used = self.cpu_seconds() - before
        if "Non-2xx" in output or "Socket errors" in output:
            raise SystemExit(f"{self.name} {path}: {output}")
        requests = int(output.split(" requests in")[0].split()[-1])
        rate = float(output.split("Requests/sec:")[1].split()[0])
        return Slice(rate, requests / used)

    def cpu_seconds(self) -> float:
        """What the server's process has used so far."""
        # In nanoseconds, thread by thread; /proc/<pid>/stat counts in ticks of 10 ms, which is coarse for a slice.
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        self._http.close()


def _group() -> dict[str, object]:
    return {"app_name": "bench", "version_name": "1", "ip_list": ["203.0.113.7", "203.0.113.8"]}


def _place(index: int) -> Location:
    # Around the globe, the first one near the group that the slices seat.
    return Location(
        f"City {index}",
        "Land",
        "Continent",
        "",
        "UTC",
        49.0 - (index * 37 % 100),
        2.5 + (index * 53 % 170) * (index > 0),
    )


async def _seed(url: str, deployments: int, locations: int) -> None:
    """Write nodes and ready deployments as a fleet would have left them. The nodes are not connected: nothing starts."""
    store = open_store(url)
    await store.open()
    clock = SystemClock()
    rng = random.Random(1)

    async def unit(tx: Transaction) -> None:
        organisation = await tx.accounts.find_organisation("default")
        assert organisation is not None
        version = await tx.applications.find_version(organisation.id, "bench", "1")
        assert version is not None
        for index in range(locations):
            profile = NodeProfile((Role.SERVER,), "process", "192.0.2.1", _place(index), images=("waymeet/echo",))
            await tx.locations.connect(NodeName(f"node-{index}"), profile, deployments, "bench", clock.now())
        template = _deployment(organisation.id, version.id, clock)
        for index in range(deployments):
            node = index % locations
            await tx.deployments.insert(
                replace(
                    template,
                    request_id=DeploymentId(f"{rng.getrandbits(48):012x}"),
                    node_name=NodeName(f"node-{node}"),
                    location=_place(node),
                )
            )

    await store.write(unit)
    await store.close()


def _deployment(organisation: str, version_id: int, clock: SystemClock) -> Deployment:
    now = clock.now()
    return Deployment(
        request_id=DeploymentId("0" * 12),
        organisation=OrganisationId(organisation),
        version_id=version_id,
        application_name="bench",
        version_name="1",
        node_name=NodeName("node-0"),
        status=DeploymentStatus.READY,
        last_status=DeploymentStatus.DEPLOYING,
        wanted=True,
        joinable=True,
        kind=SessionKind.SEAT,
        sockets=1_000_000,
        sockets_used=0,
        session_count=0,
        location=_place(0),
        public_ip="192.0.2.1",
        fqdn="192.0.2.1",
        ports=(PortMapping("game", 30001, 30001, PortProtocol.UDP),),
        server=ServerSpec("0" * 12, "local", "waymeet/echo", "1"),
        settings=DeploymentSettings("a" * 32, 1, "b" * 32, 1, 0, 120),
        tags=(),
        crash=None,
        error_detail=None,
        created_at=now,
        ready_at=now,
    )


def open_store(url: str) -> SqliteStore | PostgresStore:
    if url.startswith("sqlite:///"):
        return SqliteStore(Path(url.removeprefix("sqlite:///")), SystemClock())
    return PostgresStore(url)


def ratios(name: str, server: Server, session: str, rounds: int, seconds: int, rng: random.Random) -> None:
    """Print GET and POST as shares of the static endpoint."""
    kinds: dict[str, tuple[str, str | None]] = {
        "static": ("/healthz", None),
        # No data behind it either, but everything in front of it: key, rate limit, body, scope.
        "guarded": ("/v1/wizard/init-quick-start", '{"source":"bench"}'),
        "GET session": (f"/v1/session/{session}", None),
        "POST session": ("/v1/session", GROUP),
    }
    for path, body in kinds.values():
        server.measure(1, path, body)  # warm
    found: dict[str, list[Slice]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in rng.sample(list(kinds), len(kinds)):
            path, body = kinds[kind]
            found[kind].append(server.measure(seconds, path, body))
    for kind, slices in found.items():
        rate = statistics.median(slice_.rate for slice_ in slices)
        cpu = statistics.median(slice_.per_cpu_second for slice_ in slices)
        shares = [slice_.rate / static.rate for slice_, static in zip(slices, found["static"], strict=True)]
        cpu_shares = [
            slice_.per_cpu_second / static.per_cpu_second
            for slice_, static in zip(slices, found["static"], strict=True)
        ]
        of_static = f"rate {spread(shares)}, cpu {spread(cpu_shares)}"
        print(f"{name:9} {kind:13} {rate:8.0f}/s {cpu:8.0f}/cpu-s   of static: {of_static}")


def compare(
    title: str, big: tuple[Server, str, str | None], small: tuple[Server, str, str | None], rounds: int, seconds: int
) -> None:
    """Print how many times dearer the same call is on the big server."""
    by_rate: list[float] = []
    by_cpu: list[float] = []
    for _ in range(rounds):
        one = small[0].measure(seconds, small[1], small[2])
        other = big[0].measure(seconds, big[1], big[2])
        by_rate.append(one.rate / other.rate)
        by_cpu.append(one.per_cpu_second / other.per_cpu_second)
    print(f"{title}: time x {spread(by_rate)}, cpu x {spread(by_cpu)}")


def spread(values: Sequence[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def fill(server: Server, sessions: int) -> None:
    """Store sessions until there are so many."""
    while int(str(server.call("GET", "/v1/sessions?limit=1")["total_count"])) < sessions:
        server.measure(5, "/v1/session", GROUP)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=12)
    arguments.add_argument("--seconds", type=int, default=1)
    arguments.add_argument("--postgres", default="", help="an empty database; without it PostgreSQL is not measured")
    arguments.add_argument("--port", type=int, default=18100)
    arguments.add_argument("--no-scale", action="store_true", help="leave the scale comparison out")
    options = arguments.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    rng = random.Random(7)
    urls = {"sqlite": ""} | ({"postgres": options.postgres} if options.postgres else {})
    with tempfile.TemporaryDirectory(prefix="waymeet-bench-") as root:
        for index, (name, url) in enumerate(urls.items()):
            directory = Path(root) / name
            directory.mkdir()
            database = url or f"sqlite:///{directory / 'bench.sqlite3'}"
            ensure_migrated(database)
            server = Server(name, database, options.port + index, directory)
            try:
                ratios(name, server, server.prepare(10, 5), options.rounds, options.seconds, rng)
            finally:
                server.stop()
        if not options.no_scale:
            scale(Path(root), options.port + 10, options.rounds, options.seconds)


def scale(root: Path, port: int, rounds: int, seconds: int) -> None:
    """Both comparisons of scale, on SQLite."""
    servers: list[Server] = []
    try:
        for index in range(2):
            directory = root / f"scale-{index}"
            directory.mkdir()
            url = f"sqlite:///{directory / 'bench.sqlite3'}"
            ensure_migrated(url)
            servers.append(Server(f"scale-{index}", url, port + index, directory))
        small, big = servers
        small_session, big_session = small.prepare(10, 5), big.prepare(2_000, 200)
        compare(
            "POST, 2,000 deployments over 200 locations against 10 over 5",
            (big, "/v1/session", GROUP),
            (small, "/v1/session", GROUP),
            rounds,
            seconds,
        )
        fill(big, 100_000)
        # The small one has as many sessions as the slices above made; it is emptied to about a hundred.
        small.call(
            "POST",
            "/v1/sessions/bulk-stop",
            {"filters": [{"field": "session_id", "values": [small_session], "filter_type": "not"}]},
        )
        compare(
            "GET, 100,000 sessions against few",
            (big, f"/v1/session/{big_session}", None),
            (small, f"/v1/session/{small_session}", None),
            rounds,
            seconds,
        )
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
