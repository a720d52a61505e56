"""A beacon on real sockets, with a clock that stands still unless a test moves it."""

import errno
import itertools
import logging
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from tests.clocks import ManualClock
from tests.conftest import missing
from tests.polling import GENEROUS_SECONDS, eventually
from tests.ports import PortWindow
from waymeet.model.errors import Invalid
from waymeet.node.beacon import Beacon, WantedPorts, open_beacon
from waymeet.node.beacon.limits import EchoLimits, Verdict
from waymeet.node.beacon.tcp import EXCHANGES, HIGHEST_CONNECTIONS, HIGHEST_CONNECTIONS_PER_SOURCE, IDLE_SECONDS
from waymeet.node.ports import CHOSEN_FROM, bind_any
from waymeet.node.sockets import bind_tcp, bind_udp

NO_PORTS = range(0)
FREE = WantedPorts()
ADDRESS = f"127.{random.randrange(10, 250)}.{random.randrange(250)}.{random.randrange(1, 250)}"
"""Loopback of our own: a port of the beacon's that was closed is still free when it is opened again."""
HOSTS = (f"127.9.{number // 250}.{number % 250 + 1}" for number in itertools.count())
"""Addresses of loopback that no other test of this process uses: each has an allowance of its own."""


class Open(Protocol):
    def __call__(self, address: str = ADDRESS, wanted: WantedPorts = FREE) -> Beacon: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def opened(tmp_path: Path, clock: ManualClock) -> Iterator[Open]:
    """Opens beacons of one node, and closes them at the end."""
    made: list[Beacon] = []

    def open_one(address: str = ADDRESS, wanted: WantedPorts = FREE) -> Beacon:
        made.append(
            open_beacon(
                "paris",
                address,
                wanted,
                directory=tmp_path / "node",
                avoid=NO_PORTS,
                monotonic=clock.monotonic,
                rng=random.Random(),
            )
        )
        return made[-1]

    yield open_one
    for beacon in made:
        beacon.close()


@pytest.fixture
def beacon(opened: Open) -> Beacon:
    return opened()


@pytest.fixture
def window() -> Iterator[PortWindow]:
    with PortWindow() as window:
        yield window


def player(host: str | None = None) -> socket.socket:
    """A UDP socket on an address that nobody else has."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host or next(HOSTS), 0))
    made.settimeout(GENEROUS_SECONDS)
    return made


def answers_to(beacon: Beacon, *sent: bytes, address: str = ADDRESS) -> list[bytes]:
    """What comes back, from the address that was asked.

    A last datagram says when all has been dealt with: a socket's datagrams are read in their order. It comes from
    elsewhere, so that no allowance is used up by it.
    """
    with player() as asking:
        for payload in sent:
            asking.sendto(payload, (address, beacon.ports.udp_port))
        wait_until_read(beacon, address)
        asking.setblocking(False)
        came: list[bytes] = []
        try:
            while True:
                content, source = asking.recvfrom(2048)
                assert source == (address, beacon.ports.udp_port)
                came.append(content)
        except BlockingIOError:
            return came


def wait_until_read(beacon: Beacon, address: str = ADDRESS) -> None:
    with player() as marking:
        marking.settimeout(0.5)

        def answered() -> bool:
            try:
                marking.sendto(b"done?", (address, beacon.ports.udp_port))
                return marking.recv(2048) == b"done?"
            except TimeoutError:
                return False

        eventually(answered)


def visitor(beacon: Beacon, address: str = ADDRESS, host: str | None = None) -> socket.socket:
    """A connection from `host`, or from wherever the system takes."""
    source = (host, 0) if host is not None else None
    return socket.create_connection((address, beacon.ports.tcp_port), timeout=GENEROUS_SECONDS, source_address=source)


def welcomed(beacon: Beacon, host: str) -> bool:
    """Whether a connection from `host` is echoed."""
    with visitor(beacon, host=host) as connection:
        try:
            connection.sendall(b"Ping")
            return connection.recv(2048) == b"Ping"
        except ConnectionError:
            return False


class TestUdp:
    @pytest.mark.parametrize(
        "payload", [bytes.fromhex("50696e67"), b"\0", b"\xaa" * 64], ids=["Ping", "zero", "longest"]
    )
    def test_answers_with_the_same_bytes(self, beacon: Beacon, payload: bytes) -> None:
        assert answers_to(beacon, payload) == [payload]

    @pytest.mark.parametrize("payload", [b"", b"\xaa" * 65, b"\xaa" * 1400, b"\xaa" * 60_000], ids=len)
    def test_is_silent(self, beacon: Beacon, payload: bytes) -> None:
        assert answers_to(beacon, payload) == []

    def test_never_sends_a_byte_more_than_it_gets(self, beacon: Beacon) -> None:
        rng = random.Random(7)
        sent = [rng.randbytes(rng.randrange(130)) for _ in range(40)]
        echoed = [payload for payload in sent if 1 <= len(payload) <= 64]
        assert echoed
        assert answers_to(beacon, *sent) == echoed

    def test_two_hundred_at_once_from_one_source(self, beacon: Beacon, clock: ManualClock) -> None:
        sent = [b"%d" % number for number in range(200)]
        assert answers_to(beacon, *sent) == sent[:40]

    def test_an_allowance_comes_back_with_time(self, beacon: Beacon, clock: ManualClock) -> None:
        with player() as asking:
            here = (ADDRESS, beacon.ports.udp_port)
            for expected in (40, 20, 20):
                for _ in range(60):
                    asking.sendto(b"x", here)
                wait_until_read(beacon)
                for _ in range(expected):
                    assert asking.recv(2048) == b"x"
                asking.setblocking(False)
                with pytest.raises(BlockingIOError):
                    asking.recv(2048)
                asking.settimeout(GENEROUS_SECONDS)
                clock.advance(1.0)

    def test_does_not_answer_itself(self, beacon: Beacon) -> None:
        """A datagram that comes from another address, but from its own port, looks as its own answer would."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as twin:
            twin.bind((next(HOSTS), beacon.ports.udp_port))
            twin.sendto(b"x", (ADDRESS, beacon.ports.udp_port))
            wait_until_read(beacon)
            twin.setblocking(False)
            with pytest.raises(BlockingIOError):
                twin.recv(2048)


class TestTcp:
    def test_echoes(self, beacon: Beacon) -> None:
        with visitor(beacon) as first, visitor(beacon) as second:
            for connection in (first, second, first):
                connection.sendall(b"Ping")
                assert connection.recv(2048) == b"Ping"

    def test_closes_after_so_many_exchanges(self, beacon: Beacon) -> None:
        with visitor(beacon) as connection, visitor(beacon) as other:
            for number in range(EXCHANGES):
                connection.sendall(b"%d" % number)
                assert connection.recv(2048) == b"%d" % number
            assert connection.recv(2048) == b""
            other.sendall(b"Ping")
            assert other.recv(2048) == b"Ping"

    def test_answers_of_a_talkative_visitor_all_arrive(self, beacon: Beacon) -> None:
        """They are not torn up by a close over what else has come."""
        sent = random.Random(7).randbytes(1200)
        with visitor(beacon) as connection:
            connection.sendall(sent)
            came = b""
            while part := connection.recv(2048):
                came += part
        # What comes in one piece is read in pieces of 64 bytes; who knows how many pieces it came in.
        assert came == sent[: len(came)]
        assert EXCHANGES <= len(came) <= EXCHANGES * 64

    def test_closes_what_says_nothing(self, beacon: Beacon, clock: ManualClock) -> None:
        with visitor(beacon) as silent:
            silent.sendall(b"Ping")
            assert silent.recv(2048) == b"Ping"
            clock.advance(IDLE_SECONDS - 0.1)
            with visitor(beacon) as newer:
                newer.sendall(b"Ping")
                assert newer.recv(2048) == b"Ping"
                clock.advance(0.2)
                assert silent.recv(2048) == b""
                newer.sendall(b"Ping")
                assert newer.recv(2048) == b"Ping"

    def test_holds_so_many_and_closes_the_others_at_once(self, beacon: Beacon) -> None:
        held = [visitor(beacon, host=next(HOSTS)) for _ in range(HIGHEST_CONNECTIONS)]
        try:
            # Answers come from connections that were welcomed: so all have been.
            for connection in held:
                connection.sendall(b"Ping")
                assert connection.recv(2048) == b"Ping"
            late = next(HOSTS)
            assert not welcomed(beacon, late)
            held.pop().close()
            eventually(lambda: welcomed(beacon, late))
        finally:
            for connection in held:
                connection.close()

    def test_holds_so_many_of_one_source_and_leaves_the_others_to_everybody_else(self, beacon: Beacon) -> None:
        greedy = next(HOSTS)
        held = [visitor(beacon, host=greedy) for _ in range(HIGHEST_CONNECTIONS_PER_SOURCE)]
        try:
            for connection in held:
                connection.sendall(b"Ping")
                assert connection.recv(2048) == b"Ping"
            assert not welcomed(beacon, greedy)
            assert welcomed(beacon, next(HOSTS))
            held.pop().close()
            eventually(lambda: welcomed(beacon, greedy))
        finally:
            for connection in held:
                connection.close()

    def test_survives_visitors_without_manners(self, beacon: Beacon) -> None:
        for _ in range(50):
            rude = visitor(beacon, host=next(HOSTS))
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            rude.sendall(b"x")
            rude.close()
        with visitor(beacon) as connection:
            connection.sendall(b"Ping")
            assert connection.recv(2048) == b"Ping"


class TestAddresses:
    """Sockets on every address of the machine get in everybody's way: these ports are reserved for them."""

    @pytest.mark.parametrize("address", ["::1", "2001:db8::5"])
    def test_both_families_where_the_node_has_an_ipv6_address(
        self, opened: Open, window: PortWindow, address: str
    ) -> None:
        if not socket.has_dualstack_ipv6():
            missing("ipv6", "this machine has no IPv6")
        beacon = opened(address, WantedPorts(window.take(), window.take()))
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
            with socket.socket(family, socket.SOCK_DGRAM) as asking:
                asking.settimeout(GENEROUS_SECONDS)
                asking.sendto(b"Ping", (host, beacon.ports.udp_port))
                content, source = asking.recvfrom(2048)
                assert (content, source[:2]) == (b"Ping", (host, beacon.ports.udp_port))
            with visitor(beacon, host) as connection:
                connection.sendall(b"Ping")
                assert connection.recv(2048) == b"Ping"

    def test_answers_from_the_address_that_was_asked_where_a_router_translates_the_nodes_own(
        self, opened: Open, window: PortWindow
    ) -> None:
        beacon = opened("203.0.113.9", WantedPorts(window.take(), window.take()))
        for asked in (next(HOSTS), next(HOSTS)):
            assert answers_to(beacon, b"Ping", address=asked) == [b"Ping"]

    def test_is_deaf_on_other_addresses_of_the_machine(self, beacon: Beacon) -> None:
        with socket.socket() as stranger:
            assert stranger.connect_ex((next(HOSTS), beacon.ports.tcp_port)) != 0


class TestPorts:
    def test_are_the_same_after_a_restart(self, opened: Open) -> None:
        first = opened()
        first.close()
        assert opened().ports == first.ports

    def test_are_others_where_somebody_has_taken_them_meanwhile(self, opened: Open) -> None:
        before = opened().ports
        after = opened().ports
        assert after.udp_port != before.udp_port
        assert after.tcp_port != before.tcp_port
        assert {after.udp_port, after.tcp_port} <= set(CHOSEN_FROM)

    @pytest.mark.parametrize(
        "content", ["", "[]", "{", '{"udp_port": 5}', '{"udp_port": "x", "tcp_port": 70000}', "\udc80"]
    )
    def test_are_chosen_anew_where_nothing_usable_is_kept(self, opened: Open, tmp_path: Path, content: str) -> None:
        (tmp_path / "node").mkdir()
        (tmp_path / "node" / "beacon.json").write_bytes(content.encode(errors="surrogateescape"))
        ports = opened().ports
        assert {ports.udp_port, ports.tcp_port} <= set(CHOSEN_FROM)

    def test_are_opened_though_they_cannot_be_kept(
        self, opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "node").write_text("a file where the directory should be")
        assert answers_to(opened(), b"Ping") == [b"Ping"]
        assert "its beacon's ports will be others after a restart" in caplog.text

    @pytest.mark.parametrize(
        ("setting", "wanted"),
        [
            ("beacon.udp_port", lambda taken: WantedPorts(udp_port=taken.udp_port)),
            ("beacon.tcp_port", lambda taken: WantedPorts(tcp_port=taken.tcp_port)),
        ],
    )
    def test_that_are_named_and_taken_are_an_error(
        self, opened: Open, setting: str, wanted: Callable[..., WantedPorts]
    ) -> None:
        taken = opened().ports
        with pytest.raises(Invalid, match=f"^node paris: {setting}: .*name another port"):
            opened(wanted=wanted(taken))

    def test_that_are_named_are_used(self, opened: Open) -> None:
        free = opened()
        free.close()
        named = WantedPorts(free.ports.udp_port, free.ports.tcp_port)
        assert opened(wanted=named).ports == free.ports

    def test_an_address_that_cannot_be_bound_names_the_way_out(self) -> None:
        def bind(address: str, port: int) -> Sequence[socket.socket]:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

        with pytest.raises(Invalid, match=r"Address family not supported.*take `beacon` out of roles"):
            bind_any(bind, "2001:db8::5", None, NO_PORTS, random.Random(), "beacon.udp_port", "beacon")

    def test_of_game_servers_are_left_to_them(self) -> None:
        tried: list[int] = []

        def bind(address: str, port: int) -> Sequence[socket.socket]:
            tried.append(port)
            raise OSError(errno.EADDRINUSE, "Address already in use")

        games = range(CHOSEN_FROM.start, CHOSEN_FROM.stop - 20)
        with pytest.raises(Invalid, match="no free port was found"):
            bind_any(bind, ADDRESS, None, games, random.Random(), "beacon.udp_port", "beacon")
        assert sorted(tried) == list(range(games.stop, CHOSEN_FROM.stop))


class _Failing(EchoLimits):
    """Has a bug that one datagram brings out."""

    def judge(self, length: int, host: str, port: int, now: float) -> Verdict:
        if length == 13:
            raise RuntimeError("unlucky")
        return super().judge(length, host, port, now)


def test_a_failure_is_logged_and_the_beacon_goes_on(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    udp, tcp = (bind_any(bind, ADDRESS, None, NO_PORTS, random.Random(), "", "beacon") for bind in (bind_udp, bind_tcp))
    with closing(Beacon("paris", udp, tcp, clock.monotonic, _Failing(udp[0].getsockname()[1]))) as beacon:
        beacon.start()
        with caplog.at_level(logging.ERROR):
            assert answers_to(beacon, b"thirteen char") == []
            assert answers_to(beacon, b"Ping") == [b"Ping"]
        assert "node paris: its beacon failed and begins again" in caplog.text
        with visitor(beacon) as connection:
            connection.sendall(b"Ping")
            assert connection.recv(2048) == b"Ping"
