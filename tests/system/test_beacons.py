"""Beacons of real nodes: what goes in and out of their sockets, a flood, and the list that players get."""

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.games import play, register
from tests.system.installation import TOKEN, Installation, Program, node_table
from tests.system.players import address_of, is_answered
from tests.system.processes import Role
from tests.system.watching import Background
from waymeet.client import Beacon

ADDRESS = "127.0.0.5"
RESEND_SECONDS = 1.0
FLOOD_SOURCES = 20_000
"""More than a beacon remembers."""
FLOOD_GROWTH_KIB = 48 * 1024
"""More than any table of the beacon takes; a few hundred bytes kept of each datagram are more than this."""


def _place(city: str) -> str:
    return (
        f'location = {{ city = "{city}", country = "Canada", continent = "North America", '
        'administrative_division = "Quebec", timezone = "Eastern Time", latitude = 45.5, longitude = -73.56 }'
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Beacon]]:
    """A control plane, and `waymeet node` with a beacon that is listed."""
    directory = tmp_path_factory.mktemp("beacons")
    with Installation(directory, nodes=[node_table("montreal", ADDRESS, more=_place("Montreal"))]) as installation:
        installation.serve()
        register(installation.client)
        installation.node(arguments=["--stop-servers"])
        (beacon,) = eventually(installation.client.beacons.all)
        yield installation, beacon


@pytest.fixture(scope="module")
def beacon(running: tuple[Installation, Beacon]) -> Beacon:
    return running[1]


@pytest.fixture
def hosts(request: pytest.FixtureRequest) -> Iterator[str]:
    """Addresses of loopback with an allowance that nobody has used."""
    second = random.randrange(20, 120)
    return iter([f"127.{second}.{random.randrange(256)}.{last}" for last in random.sample(range(1, 255), 100)])


def player(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.settimeout(RESEND_SECONDS)
    return made


def received(asking: socket.socket, beacon: Beacon) -> list[bytes]:
    """All that has come from the beacon so far."""
    asking.setblocking(False)
    came: list[bytes] = []
    try:
        while True:
            content, source = asking.recvfrom(2048)
            assert source == (beacon.host, beacon.udp_port)
            came.append(content)
    except BlockingIOError:
        return came


def wait_until_read(beacon: Beacon, host: str) -> None:
    """Until the beacon has dealt with all that was sent before: it reads in order."""
    with player(host) as marking:

        def answered() -> bool:
            try:
                marking.sendto(b"done?", (beacon.host, beacon.udp_port))
                return marking.recv(2048) == b"done?"
            except TimeoutError:
                return False

        eventually(answered)


class TestVectors:
    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (bytes.fromhex("50696e67"), [bytes.fromhex("50696e67")]),
            (b"\x00", [b"\x00"]),
            (b"\xaa" * 64, [b"\xaa" * 64]),
            (b"\xaa" * 65, []),
            (b"", []),
        ],
        ids=["Ping", "zero", "64 bytes", "65 bytes", "empty"],
    )
    def test_udp(self, beacon: Beacon, hosts: Iterator[str], sent: bytes, expected: list[bytes]) -> None:
        with player(next(hosts)) as asking:
            asking.sendto(sent, (beacon.host, beacon.udp_port))
            wait_until_read(beacon, next(hosts))
            assert received(asking, beacon) == expected

    def test_two_hundred_packets_from_one_source(self, beacon: Beacon, hosts: Iterator[str]) -> None:
        with player(next(hosts)) as asking:
            start = time.monotonic()
            for number in range(200):
                asking.sendto(b"%d" % number, (beacon.host, beacon.udp_port))
            wait_until_read(beacon, next(hosts))
            # However long it took: a burst of 40, and 20 for each second.
            seconds = time.monotonic() - start
            answered = len(received(asking, beacon))
        assert 40 <= answered <= 40 + 20 * seconds + 1

    def test_tcp(self, beacon: Beacon) -> None:
        with ExitStack() as stack:
            first, second = (
                stack.enter_context(socket.create_connection((beacon.host, beacon.tcp_port), GENEROUS_SECONDS))
                for _ in range(2)
            )
            for connection in (first, second):
                connection.sendall(b"Ping")
                assert connection.recv(2048) == b"Ping"

    def test_amplification_is_one(self, beacon: Beacon, hosts: Iterator[str]) -> None:
        rng = random.Random(3)
        sent = [rng.randbytes(rng.choice([rng.randrange(65), rng.randrange(200)])) for _ in range(600)]
        answered: list[bytes] = []
        for start in range(0, len(sent), 40):
            with player(next(hosts)) as asking:
                for payload in sent[start : start + 40]:
                    asking.sendto(payload, (beacon.host, beacon.udp_port))
                wait_until_read(beacon, next(hosts))
                answered += received(asking, beacon)
        assert answered == [payload for payload in sent if 1 <= len(payload) <= 64]


class Flood:
    """Datagrams from as many addresses of loopback as there are, round and round."""

    def __init__(self, beacon: Beacon) -> None:
        self._target = (beacon.host, beacon.udp_port)
        self._next = 0
        self.sources: set[str] = set()

    def some(self) -> None:
        for _ in range(500):
            number = self._next = (self._next + 1) % (1 << 16)
            host = f"127.{150 + number % 50}.{number >> 8}.{number % 256}"
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as source:
                source.setblocking(False)
                source.bind((host, 0))
                self.sources.add(host)
                for length in (1, 16, 64, 65, 1200):
                    try:
                        source.sendto(bytes(length), self._target)
                    except BlockingIOError:
                        pass


def test_a_flood_from_many_sources_takes_no_memory_and_no_servers(
    running: tuple[Installation, Beacon], hosts: Iterator[str]
) -> None:
    installation, beacon = running
    # Once through everything that is made when it is first needed.
    play(installation.client)
    wait_until_read(beacon, next(hosts))
    node = installation.only(Role.NODES)
    flood = Flood(beacon)
    flood.some()
    before = node.resident_kib
    with Background(flood.some, pause_seconds=0):
        # The agent hears what is wanted, starts a server, and says so.
        session = play(installation.client, register(installation.client, "2.0"))
        assert is_answered(*address_of(session))
        eventually(lambda: len(flood.sources) >= FLOOD_SOURCES)
        after = node.resident_kib
    assert node.is_alive()
    assert after - before < FLOOD_GROWTH_KIB
    wait_until_read(beacon, next(hosts))
    eventually(lambda: installation.client.beacons.all() == (beacon,))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Installation, dict[str, Program]]]:
    """A control plane and two nodes at one place, each in a process of its own."""
    tables = [node_table(name, f"127.0.0.{number}", more=_place("Montreal")) for number, name in ((6, "a"), (7, "b"))]
    with Installation(tmp_path, nodes=tables) as installation:
        installation.serve()
        nodes = {}
        for number, name in enumerate(("a", "b"), start=1):
            nodes[name] = installation.node(arguments=["--name", name])
            eventually(lambda number=number: len(installation.client.beacons.all()) == number)  # type: ignore[misc]
        yield installation, nodes


def listed(installation: Installation) -> dict[str, str]:
    return {beacon.location.city: beacon.host for beacon in installation.client.beacons.all()}


def test_is_delisted_when_its_node_is_killed_and_listed_again_when_it_is_back(
    two: tuple[Installation, dict[str, Program]],
) -> None:
    installation, nodes = two
    assert listed(installation) == {"Montreal": "127.0.0.6", "Montreal (b)": "127.0.0.7"}
    before = installation.client.beacons.all()
    nodes["a"].process.kill()
    nodes["a"].wait()
    eventually(lambda: listed(installation) == {"Montreal (b)": "127.0.0.7"})
    # The API is as ready as it was: beacons are no part of that.
    assert installation.client.is_ready()
    installation.node(arguments=["--name", "a"])
    # With the same name and the same ports.
    eventually(lambda: installation.client.beacons.all() == before)


def test_a_node_without_the_role_has_none(tmp_path: Path) -> None:
    tables = [node_table("bare", more='roles = ["server"]'), node_table("full", "127.0.0.8")]
    with Installation(tmp_path, nodes=tables) as installation:
        installation.up()
        assert [beacon.host for beacon in eventually(installation.client.beacons.all)] == ["127.0.0.8"]
        assert not (installation.data / "nodes" / "bare" / "beacon.json").exists()


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_port_that_is_taken_is_an_error_that_names_the_setting(tmp_path: Path, kind: str) -> None:
    with Installation(tmp_path) as installation:
        port = installation.free_port()
        installation.configure(nodes=[node_table("paris", more=f"beacon = {{ {kind}_port = {port} }}")])
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        with holder:
            holder.bind(("127.0.0.1", port))
            if kind == "tcp":
                holder.listen()
            program = installation.node()
            assert program.wait() == 1
        assert f"node paris: beacon.{kind}_port: {port} cannot be bound on 127.0.0.1" in program.output
        assert "name another port" in program.output


def test_the_command_measures_it(running: tuple[Installation, Beacon]) -> None:
    installation, beacon = running
    flags = ["--url", installation.url, "--token", TOKEN, "--json", "--count", "2", "--timeout", "60"]
    done = subprocess.run(
        [sys.executable, "-m", "waymeet.cli", "beacons", "ping", *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["beacons"]
    assert (found["city"], found["host"], found["lost"]) == ("Montreal", beacon.host, 0)


def test_the_metrics_count_them(running: tuple[Installation, Beacon]) -> None:
    installation, _ = running
    text = httpx.get(f"{installation.url}/metrics", trust_env=False).text
    assert "waymeet_beacons_known 1.0" in text
    assert "waymeet_beacons_listed 1.0" in text
    assert "waymeet_beacons_delisted_total" in text
