"""The sample game server by itself: its options, and waiting for files as it says."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.polling import GENEROUS_SECONDS
from tests.ports import PortWindow
from tests.system.players import is_answered
from waymeet.samples.echo import parse


@contextmanager
def echo(port: int, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "waymeet.samples.echo", "--udp", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture
def ports() -> Iterator[PortWindow]:
    with PortWindow() as window:
        yield window


@pytest.fixture
def port(ports: PortWindow) -> int:
    return ports.take()


def said(server: "subprocess.Popen[str]") -> str:
    """The next line that it prints; empty when it has ended."""
    assert server.stdout is not None
    return server.stdout.readline()


def test_it_binds_its_ports_once_the_file_is_there(ports: PortWindow, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    port, other = ports.take(), ports.take()
    with echo(port, "--ready-when-file", str(gate)) as server, echo(other):
        # One that does not wait, and was started later, is there by now.
        assert is_answered("127.0.0.1", other)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as still_free:
            still_free.bind(("127.0.0.1", port))
        gate.touch()
        assert said(server) == f"echo: answering on UDP [{port}] and TCP []\n"
        assert is_answered("127.0.0.1", port)
        assert gate.exists()


def test_it_can_be_ended_while_it_waits_for_the_file(port: int, tmp_path: Path) -> None:
    with echo(port, "--ready-when-file", str(tmp_path / "never")) as server:
        server.send_signal(signal.SIGTERM)
        assert server.wait(GENEROUS_SECONDS) in (0, -signal.SIGTERM)
        assert said(server) == ""


def test_it_ends_when_the_file_comes_and_takes_it_away(port: int, tmp_path: Path) -> None:
    end = tmp_path / "end"
    with echo(port, "--exit-when-file", str(end), "--exit-code", "4") as server:
        assert "answering" in said(server)
        assert is_answered("127.0.0.1", port)
        end.touch()
        assert said(server) == "echo: ending with 4\n"
        assert server.wait(GENEROUS_SECONDS) == 4
    assert not end.exists()


def test_without_a_port_it_takes_those_of_the_platform() -> None:
    options = parse(
        [],
        {
            "ARBITRIUM_PORT_GAME_INTERNAL": "7777",
            "ARBITRIUM_PORT_GAME_PROTOCOL": "UDP",
            "ARBITRIUM_PORT_CHAT_INTERNAL": "7778",
            "ARBITRIUM_PORT_CHAT_PROTOCOL": "TCP/UDP",
            "ARBITRIUM_PORT_WEB_INTERNAL": "80",
            "ARBITRIUM_PORT_WEB_PROTOCOL": "HTTP",
        },
    )
    assert (options.udp, options.tcp) == ([7777, 7778], [7778, 80])


@pytest.mark.parametrize("arguments", [["--port"], ["--port", "0"], ["--port", "x"], ["--nonsense", "1"]])
def test_what_it_does_not_understand_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match=r"port|option|value|literal"):
        parse(arguments, {})
