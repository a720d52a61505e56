"""Nodes in a process of their own, told to stop or left alone, with real servers."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.drivers.backends import SPEC, ProcessBackend
from tests.node.fakes import Conversation, FakeControlPlane, control_plane
from tests.polling import eventually, eventually_async
from tests.ports import PortWindow
from waymeet.model.node_messages import WantedFull
from waymeet.model.servers import EndReason, ServerPhase

pytestmark = pytest.mark.anyio

NODES = """
import os, random, sys
from pathlib import Path
from waymeet.clock import SystemClock
from waymeet.drivers.process import Program
from waymeet.model.location import Location
from waymeet.node import NodeDefinition, run_nodes

url, directory, stop_servers, lifeline, first_port, behind_last_port = sys.argv[1:]
run_nodes(
    [
        NodeDefinition(
            name=name, control_plane_url=url, token="secret", address="127.0.0.1",
            location=Location("", "", "", "", "", 0.0, 0.0), data_directory=Path(directory) / name,
            programs={"waymeet/echo": Program(("{python}", "-m", "waymeet.samples.echo"))},
            ports=range(int(first_port), int(behind_last_port)),
        )
        for name in ("one", "two")
    ],
    clock=SystemClock(), rng=random.Random(), environment=os.environ,
    stop_servers=stop_servers == "stop", supervised_fd=int(lifeline),
)
"""


@pytest.fixture
async def plane(anyio_backend: str) -> AsyncIterator[FakeControlPlane]:
    async with control_plane() as plane:
        yield plane


@pytest.fixture
async def backends(tmp_path: Path, anyio_backend: str) -> AsyncIterator[list[ProcessBackend]]:
    backends = [ProcessBackend(tmp_path / name / "servers") for name in ("one", "two")]
    yield backends
    for backend in backends:
        await backend.clean()


@contextmanager
def nodes(
    plane: FakeControlPlane, directory: Path, on_stop: str
) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """The process with both nodes, and the writing end of its lifeline."""
    reading, writing = os.pipe()
    ports = PortWindow()
    bounds = [str(ports.ports.start), str(ports.ports.stop)]
    process = subprocess.Popen(
        [sys.executable, "-c", NODES, plane.url, str(directory), on_stop, str(reading), *bounds], pass_fds=[reading]
    )
    os.close(reading)
    with ports, os.fdopen(writing, "wb") as lifeline:
        try:
            yield process, lifeline
        finally:
            process.kill()
            process.wait()


async def both_ready(plane: FakeControlPlane) -> list[Conversation]:
    """Each node's conversation, once the one server wanted of it is ready."""
    conversations = [await plane.conversation(), await plane.conversation()]
    for conversation in conversations:
        await conversation.welcome()
        await conversation.send(WantedFull(1, (SPEC,)))
    ports = {(await conversation.seen(SPEC.key, ServerPhase.READY)).ports[0].external for conversation in conversations}
    assert len(ports) == 2
    return conversations


async def gone(process: "subprocess.Popen[bytes]") -> int:
    async def check() -> bool:
        return process.poll() is not None

    await eventually_async(check)
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_every_server_and_reports_it(
    plane: FakeControlPlane, backends: list[ProcessBackend], tmp_path: Path, number: signal.Signals
) -> None:
    with nodes(plane, tmp_path, "stop") as (process, _):
        conversations = await both_ready(plane)
        process.send_signal(number)
        process.send_signal(number)
        for conversation in conversations:
            assert (await conversation.seen(SPEC.key, ServerPhase.ENDED)).end_reason is EndReason.STOPPED
        assert await gone(process) == 0
    eventually(lambda: not any(backend.left(SPEC.key) for backend in backends))


async def test_a_signal_leaves_servers_alone_where_it_should(
    plane: FakeControlPlane, backends: list[ProcessBackend], tmp_path: Path
) -> None:
    with nodes(plane, tmp_path, "leave") as (process, _):
        await both_ready(plane)
        process.send_signal(signal.SIGTERM)
        assert await gone(process) == 0
    assert all(len(backend.left(SPEC.key)) == 2 for backend in backends)


@pytest.mark.parametrize("how", ["lifeline", "kill"])
async def test_without_its_supervisor_it_goes_and_a_new_one_finds_the_servers(
    plane: FakeControlPlane, backends: list[ProcessBackend], tmp_path: Path, how: str
) -> None:
    with nodes(plane, tmp_path, "stop") as (process, lifeline):
        await both_ready(plane)
        before = [backend.left(SPEC.key) for backend in backends]
        if how == "kill":
            process.kill()
        else:
            lifeline.close()
        await gone(process)
    assert [backend.left(SPEC.key) for backend in backends] == before
    with nodes(plane, tmp_path, "stop") as (process, _):
        for _ in range(2):
            conversation = await plane.conversation()
            [report] = (await conversation.welcome()).reports
            assert report.phase is ServerPhase.READY
            await conversation.send(WantedFull(1, ()))
            await conversation.seen(SPEC.key, ServerPhase.ENDED)
    eventually(lambda: not any(backend.left(SPEC.key) for backend in backends))
