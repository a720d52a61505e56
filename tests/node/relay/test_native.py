"""What is the native relay's own: threads that Python does not hold up, rules handed over whole, several workers."""

import ctypes
import errno
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import waymeet
from tests.clocks import ManualClock
from tests.conftest import missing
from tests.node.relay.conftest import require_native
from tests.node.relay.peers import ADDRESS, GAME, RULES, OpenEngine, Peer, spec
from tests.node.relay.world import HOST, A, data, data_to, ping
from tests.polling import GENEROUS_SECONDS
from tests.ports import PortWindow
from waymeet.model.errors import Invalid
from waymeet.node.relay.choice import MISSING, why_missing, why_stale
from waymeet.node.relay.engine import RelayEngine
from waymeet.node.relay.reasons import DropReason, Port
from waymeet.node.sockets import bind_udp


@pytest.fixture
def kind() -> str:
    require_native()
    return "native"


PLAYERS = """
import socket, sys
from tests.node.relay.world import HOST, SESSION, A, data, data_to, ping
address, server, client, seconds, done = sys.argv[1:]
peers = []
for port in (server, client):
    peers.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    peers[-1].connect((address, int(port)))
    peers[-1].settimeout(float(seconds))
host, alice = peers
verdict = b"n"
try:
    input()
    host.send(ping(SESSION, HOST))
    assert host.recv(2048) == b"\\1\\2"
    for number in range(100):
        alice.send(data(SESSION, A, b"%d" % number))
        assert host.recv(2048) == b"\\2\\1\\0\\0\\0%d" % number
        host.send(data_to(SESSION, HOST, 1, b"%d" % number))
        assert alice.recv(2048) == b"\\2%d" % number
    verdict = b"y"
finally:
    open(int(done), "wb", closefd=False, buffering=0).write(verdict)
"""


def test_datagrams_flow_while_python_code_keeps_the_interpreter_to_itself(engine: RelayEngine) -> None:
    engine.replace([GAME])
    waiting, done = os.pipe()
    arguments = [ADDRESS, *(str(port) for port in (engine.ports.server_port, engine.ports.client_port))]
    command = [sys.executable, "-c", PLAYERS, *arguments, str(GENEROUS_SECONDS / 2), str(done)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[done]) as players:
        os.close(done)
        assert players.stdin is not None
        players.stdin.write(b"\n")
        players.stdin.flush()
        # Unlike all others, functions of a PyDLL do not let other threads of Python run while they wait.
        verdict = ctypes.create_string_buffer(1)
        length = ctypes.PyDLL(None).read(waiting, verdict, 1)
    os.close(waiting)
    assert (length, verdict.raw) == (1, b"y")


def test_it_counts_drops_by_the_same_reasons() -> None:
    require_native()
    from waymeet import _relay

    assert _relay.drop_reasons() == [reason.value for reason in DropReason]


class TestRules:
    """A rule that only one side knows must not go unnoticed."""

    @pytest.fixture
    def rules(self) -> dict[str, Any]:
        require_native()
        return asdict(RULES)

    def start(self, rules: dict[str, Any], match: str) -> None:
        from waymeet import _relay

        with pytest.raises(_relay.Invalid, match=match):
            _relay.start(rules, [], secret=1, patience_seconds=1)

    def test_all_of_them_arrive(self, rules: dict[str, Any]) -> None:
        self.start(rules, "workers must be at least 1")
        assert rules == {}

    @pytest.mark.parametrize(
        "path",
        [
            *([name] for name in asdict(RULES)),
            *(["capacity", name] for name in asdict(RULES.capacity)),
            *(["limits", name] for name in asdict(RULES.limits)),
            *(["limits", "rebinds", name] for name in asdict(RULES.limits.rebinds)),
        ],
        ids=".".join,
    )
    def test_one_that_is_missing_is_refused_by_name(self, rules: dict[str, Any], path: list[str]) -> None:
        *above, name = path
        section = rules
        for each in above:
            section = section[each]
        del section[name]
        self.start(rules, f"rule {name} is missing")

    @pytest.mark.parametrize("section", ["", "capacity", "limits"])
    def test_one_that_is_not_known_is_refused_by_name(self, rules: dict[str, Any], section: str) -> None:
        (rules[section] if section else rules)["brand_new"] = 1
        self.start(rules, "rule brand_new is not known to this build")

    @pytest.mark.parametrize("value", [-1, 2**64, 0.5, "1", None, {}])
    def test_one_that_cannot_be_is_refused_by_name(self, rules: dict[str, Any], value: object) -> None:
        rules["owner_timeout"] = value
        self.start(rules, "rule owner_timeout: ")


class TestWorkers:
    """Several share a port: the kernel gives each the datagrams of its sessions."""

    @pytest.fixture(autouse=True)
    def linux(self) -> None:
        if sys.platform != "linux":
            pytest.skip("several workers need Linux")

    @pytest.mark.parametrize("workers", [2, 3])
    def test_each_session_works_whoever_has_it(self, opened: OpenEngine, workers: int) -> None:
        engine = opened(workers=workers, spin_microseconds=20)
        tokens = range(1, 4 * workers + 1)
        assert engine.replace([spec(str(token), token, HOST, A) for token in tokens]) == []
        with ExitStack() as stack:
            for token in tokens:
                host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
                stack.enter_context(host.socket)
                stack.enter_context(alice.socket)
                assert host.ask(ping(token, HOST)) == b"\1\2"
                alice.send(data(token, A, b"hello"))
                assert host.receive() == b"\2\1\0\0\0hello"
                host.send(data_to(token, HOST, 1, b"hello"))
                assert alice.receive() == b"\2hello"
            load = engine.load()
            assert (load.sessions, load.bindings) == (len(tokens), 2 * len(tokens))
            assert load.counters.received_packets == 3 * len(tokens)
            assert load.counters.drops == {}
            assert engine.apply([], list(tokens)) == []
        assert engine.load().sessions == 0

    def test_they_share_every_address_where_a_node_has_several(self, opened: OpenEngine) -> None:
        if not socket.has_dualstack_ipv6():
            missing("ipv6", "this machine has no IPv6")
        with PortWindow() as window:
            for address, port in (("::1", window.ports[0]), ("2001:db8::5", window.ports[2])):
                engine = opened(address, port, workers=2)
                for token in range(1, 9):
                    engine.apply([spec(str(token), token, HOST, A)], [])
                    host, alice = Peer(engine, Port.SERVER, "::1"), Peer(engine, Port.CLIENT, "127.0.0.1")
                    with host.socket, alice.socket:
                        assert host.ask(ping(token, HOST)) == b"\1\2"
                        alice.send(data(token, A, b"hello"))
                        assert host.receive() == b"\2\1\0\0\0hello"
                        host.send(data_to(token, HOST, 1, b"hello"))
                        assert alice.receive() == b"\2hello"

    def test_nobody_else_comes_to_share_the_port_by_mistake(self, opened: OpenEngine) -> None:
        engine = opened(workers=2)
        for sets in (1, 2):
            with pytest.raises(OSError) as refused:
                bind_udp(ADDRESS, engine.ports.server_port, sets)
            assert refused.value.errno == errno.EADDRINUSE


class TestSocketsThatDoNotDo:
    def start(self, server: list[int], client: list[int]) -> object:
        require_native()
        from waymeet import _relay

        return _relay.start(asdict(RULES), [(server, client)], secret=1, patience_seconds=1)

    def test_those_of_another_kind_are_refused_and_stay_open(self) -> None:
        require_native()
        from waymeet import _relay

        with socket.socket() as stream, bind_udp(ADDRESS, 0)[0] as client:
            with pytest.raises(_relay.Invalid, match="not for datagrams"):
                self.start([stream.fileno()], [client.fileno()])
            assert client.getsockname()[0] == ADDRESS

    @pytest.mark.parametrize("number", [-1, 2**31 - 1])
    def test_what_is_no_descriptor_is_the_systems_error(self, number: int) -> None:
        with bind_udp(ADDRESS, 0)[0] as client, pytest.raises(OSError):
            self.start([number], [client.fileno()])

    def test_the_engine_says_so_in_the_words_of_everybody_else(self, clock: ManualClock) -> None:
        require_native()
        from waymeet.node.relay.native import NativeRelay

        with socket.socket() as stream, bind_udp(ADDRESS, 0)[0] as client:
            stream.bind((ADDRESS, 0))
            with pytest.raises(Invalid, match="not for datagrams"):
                NativeRelay("paris", [stream], [client], RULES, clock, 1)
            assert client.getsockname()[0] == ADDRESS


class TestWhyItIsNotThere:
    def test_the_build_has_written_down_what_was_missing(self, tmp_path: Path) -> None:
        (tmp_path / MISSING).write_text("cargo is missing\n")
        reason = why_missing(tmp_path, ImportError("no module"))
        assert reason == "cargo is missing; then run `make build`, or install Waymeet again"

    def test_without_a_record_it_was_not_built(self, tmp_path: Path) -> None:
        assert why_missing(tmp_path, ImportError("no module")).startswith("it was not built; run `make build`")

    def test_one_that_cannot_be_loaded_says_why(self, tmp_path: Path) -> None:
        (tmp_path / "_relay.abi3.so").touch()
        reason = why_missing(tmp_path, ImportError("GLIBC_9 not found"))
        assert reason.startswith("it cannot be loaded (GLIBC_9 not found)")

    def test_one_of_another_version_does_not_do(self) -> None:
        assert why_stale(waymeet.__version__) is None
        assert why_stale("0.0.1") == "it was built for Waymeet 0.0.1; run `make build`, or install Waymeet again"

    def test_where_it_runs_it_is_of_this_version_and_fast(self) -> None:
        require_native()
        from waymeet import _relay

        build = _relay.build_info()
        assert (build["version"], build["profile"]) == (waymeet.__version__, "release")
        assert not resources.files(waymeet).joinpath(MISSING).is_file()
