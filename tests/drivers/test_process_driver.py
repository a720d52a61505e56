"""What is particular to the process driver: keepers, process groups, ports of this machine, the operator's programs."""

import asyncio
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.drivers.backends import SPEC, ProcessBackend, ended, ready, report_when
from tests.gate import Gate
from tests.polling import eventually, eventually_async
from waymeet.drivers.process import PortAllocator, Program
from waymeet.drivers.process.launch import KeeperSettings
from waymeet.model.errors import Unavailable
from waymeet.model.servers import EndReason, PortProtocol, PortRequest, RestartPolicy, ServerPhase

pytestmark = pytest.mark.anyio

BIND = """
import os, socket, time
port = int(os.environ["ARBITRIUM_PORT_GAME_INTERNAL"])
endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
endpoint.bind(({address!r}, port))
time.sleep(600)
"""
FAMILY = """
import os, subprocess, sys, time
sleep = "import time; time.sleep(600)"
subprocess.Popen([sys.executable, "-c", sleep])
subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True)
subprocess.Popen([sys.executable, "-c",
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', " + repr(sleep) + "], start_new_session=True)"])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
print("family complete")
"""


@pytest.fixture
def backend(process_backend: ProcessBackend) -> ProcessBackend:
    return process_backend


def keeper_of(backend: ProcessBackend, key: str = SPEC.key) -> int:
    """The keeper's process number, from its own account."""
    return state_of(backend, key)["keeper"]


def program_of(backend: ProcessBackend, key: str = SPEC.key) -> int:
    return state_of(backend, key)["program"]


def state_of(backend: ProcessBackend, key: str) -> dict[str, int]:
    lines = (backend.directory / key / "state").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(" ", 1) for line in lines) if value.lstrip("-").isdigit()}


async def printed(driver: object, text: str, key: str = SPEC.key) -> None:
    async def check() -> bool:
        return text in (await driver.logs(key)).text  # type: ignore[attr-defined]

    await eventually_async(check)


class TestReadiness:
    async def test_a_foreign_process_on_the_port_is_never_ready(self, backend: ProcessBackend) -> None:
        spec = replace(backend.runs("studio/lazy", "import time; time.sleep(600)"), ports=SPEC.ports)
        driver = await backend.driver()
        await driver.start(spec)
        [report] = await driver.look()
        with (
            closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp,
            closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as tcp,
        ):
            udp.bind(("0.0.0.0", report.ports[0].external))
            tcp.bind(("0.0.0.0", report.ports[0].external))
            tcp.listen()
            report = await report_when(driver, lambda report: "held by a process" in (report.message or ""))
            assert report.phase is ServerPhase.STARTING

    async def test_a_port_bound_where_players_cannot_reach_it_is_not_ready(self, backend: ProcessBackend) -> None:
        backend.address = "127.0.0.2"
        spec = replace(
            backend.runs("studio/shy", BIND.format(address="127.0.0.1")),
            ports=(PortRequest("game", 0, PortProtocol.UDP),),
        )
        driver = await backend.driver()
        await driver.start(spec)
        report = await report_when(driver, lambda report: "127.0.0.2 cannot reach" in (report.message or ""))
        assert report.phase is ServerPhase.STARTING

    async def test_a_port_bound_on_the_node_s_address_is_ready(self, backend: ProcessBackend) -> None:
        backend.address = "127.0.0.2"
        spec = replace(
            backend.runs("studio/exact", BIND.format(address="127.0.0.2")),
            ports=(PortRequest("game", 0, PortProtocol.UDP),),
        )
        driver = await backend.driver()
        await driver.start(spec)
        await ready(driver)

    async def test_the_program_may_say_so_itself(self, backend: ProcessBackend) -> None:
        spec = backend.runs(
            "studio/polite",
            "import os, socket, time\n"
            "endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "endpoint.sendto(b'STATUS=up\\nREADY=1', os.environ['NOTIFY_SOCKET'])\n"
            "time.sleep(600)",
        )
        driver = await backend.driver()
        await driver.start(replace(spec, ports=SPEC.ports))
        await ready(driver)

    async def test_also_where_the_directory_s_path_is_too_long_for_a_socket(self, backend: ProcessBackend) -> None:
        backend.directory /= "deep" * 30
        await self.test_the_program_may_say_so_itself(backend)

    async def test_both_protocols_have_to_answer(self, backend: ProcessBackend) -> None:
        spec = replace(backend.runs("studio/half", BIND.format(address="0.0.0.0")), ports=SPEC.ports)
        driver = await backend.driver()
        await driver.start(spec)
        report = await report_when(driver, lambda report: "nothing is bound to TCP" in (report.message or ""))
        assert report.phase is ServerPhase.STARTING


class TestNoOrphan:
    async def test_when_the_server_is_stopped(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(backend.runs("studio/family", FAMILY + "time.sleep(600)"))
        await printed(driver, "family complete")
        assert len(backend.left(SPEC.key)) >= 5
        await driver.stop(SPEC.key, 0.3)
        await ended(driver)
        eventually(lambda: not backend.left(SPEC.key))

    async def test_when_the_program_ends_by_itself(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(backend.runs("studio/family", FAMILY))
        report = await ended(driver)
        assert report.end_reason is EndReason.EXITED
        eventually(lambda: not backend.left(SPEC.key))

    async def test_when_the_keeper_is_killed(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(backend.runs("studio/family", FAMILY + "time.sleep(600)"))
        await printed(driver, "family complete")
        os.kill(keeper_of(backend), signal.SIGKILL)
        report = await ended(driver)
        assert report.end_reason is EndReason.LOST
        eventually(lambda: not backend.left(SPEC.key))

    async def test_when_the_keeper_is_killed_and_no_driver_is_there(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(backend.runs("studio/family", FAMILY + "time.sleep(600)"))
        await printed(driver, "family complete")
        await driver.close()
        os.kill(keeper_of(backend), signal.SIGKILL)
        # The program itself dies with its keeper, through the kernel; its family waits for the next driver.
        program = program_of(backend)
        eventually(lambda: program not in backend.left(SPEC.key))
        [report] = await (await backend.driver()).look()
        assert report.end_reason is EndReason.LOST
        eventually(lambda: not backend.left(SPEC.key))

    async def test_when_children_hide_their_mark_but_stay_in_the_session(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(
            backend.runs(
                "studio/hidden",
                "import subprocess, sys, time\n"
                "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], env={})\n"
                "print('child', child.pid, flush=True)\n"
                "time.sleep(600)",
            )
        )
        await printed(driver, "child")
        child = int((await driver.logs(SPEC.key)).text.split()[1])
        os.kill(keeper_of(backend), signal.SIGKILL)
        await ended(driver)
        eventually(lambda: not _is_alive(child))


class TestKeeper:
    @pytest.mark.parametrize("moment", range(8))
    async def test_killed_at_any_moment_of_a_start_it_leaves_one_clear_end(
        self, backend: ProcessBackend, moment: int
    ) -> None:
        driver = await backend.driver()
        await driver.start(SPEC)
        # The first of them: all others are its descendants.
        keeper = min(eventually(lambda: backend.left(SPEC.key), every=0.001))
        await asyncio.sleep(moment * 0.008)  # the moments differ; none of them matters
        os.kill(keeper, signal.SIGKILL)
        report = await ended(driver)
        assert report.end_reason in (EndReason.LOST, EndReason.START_FAILED)
        eventually(lambda: not backend.left(SPEC.key))
        await driver.start(SPEC)
        assert not backend.left(SPEC.key)

    async def test_killed_while_its_child_still_holds_the_lock_it_is_found_out_a_little_later(
        self, backend: ProcessBackend
    ) -> None:
        backend.settings = replace(backend.settings, reading_interval=600.0)  # no other reason to wake up
        driver = await backend.driver()
        await driver.start(SPEC)
        await ready(driver)
        with (backend.directory / SPEC.key / "lock").open() as lock:
            os.kill(keeper_of(backend), signal.SIGKILL)
            # Nothing else of this process runs until the lock is ours, as it is a child's between its fork and its exec.
            fcntl.flock(lock, fcntl.LOCK_EX)
            await asyncio.sleep(0.1)
            assert [report.phase for report in await driver.look()] != [ServerPhase.ENDED]
        assert (await ended(driver)).end_reason is EndReason.LOST

    async def test_a_program_that_ignores_sigterm_is_killed_after_its_grace_period(
        self, backend: ProcessBackend
    ) -> None:
        driver = await backend.driver()
        spec = backend.runs(
            "studio/deaf",
            "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(600)",
        )
        await driver.start(replace(spec, grace_seconds=600))
        await printed(driver, "deaf")
        await driver.stop(SPEC.key)
        # Told again with less time: the shorter one counts, without a new start of the clock.
        await report_when(driver, lambda report: report.phase is ServerPhase.STOPPING)
        await driver.stop(SPEC.key, 0.1)
        report = await ended(driver)
        assert (report.end_reason, report.exit_code) == (EndReason.STOPPED, 128 + signal.SIGKILL)

    async def test_a_program_may_use_its_grace_period(self, backend: ProcessBackend, tmp_path: Path) -> None:
        driver = await backend.driver()
        gate = Gate(tmp_path / "gate")
        spec = backend.runs(
            "studio/tidy",
            "import os, signal, sys, time\n"
            "def save(*_):\n"
            f"    while not os.path.exists({str(gate.path)!r}): time.sleep(0.01)\n"
            "    print('saved'); sys.exit(0)\n"
            "signal.signal(signal.SIGTERM, save)\nprint('up')\ntime.sleep(600)",
        )
        await driver.start(replace(spec, grace_seconds=600))
        await printed(driver, "up")
        await driver.stop(SPEC.key)
        await report_when(driver, lambda report: report.phase is ServerPhase.STOPPING)
        gate.open()
        report = await ended(driver)
        assert (report.end_reason, report.exit_code) == (EndReason.STOPPED, 0)
        assert "saved" in (await driver.logs(SPEC.key)).text

    async def test_a_signal_is_told_by_code_and_name(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(backend.runs("studio/fault", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
        report = await ended(driver)
        assert (report.end_reason, report.exit_code) == (EndReason.CRASHED, 139)
        assert report.message == "killed by signal 11 (Segmentation fault)"

    async def test_terminal_signals_do_not_reach_it(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(SPEC)
        await ready(driver)
        keeper = keeper_of(backend)
        os.kill(keeper, signal.SIGINT)
        os.kill(keeper, signal.SIGHUP)
        assert os.getsid(keeper) == keeper != os.getsid(0)
        await driver.stop(SPEC.key)
        assert (await ended(driver)).end_reason is EndReason.STOPPED

    async def test_programs_get_their_signals_as_usual(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        spec = backend.runs(
            "studio/signals",
            "print(*(line for line in open('/proc/self/status') if line.startswith(('SigIgn', 'SigBlk'))))",
        )
        # As in a job that a shell has put into the background, and a few more.
        ignored_here = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGQUIT, signal.SIGUSR1)}
        try:
            await driver.start(spec)
        finally:
            for number, handler in ignored_here.items():
                signal.signal(number, handler)
        await ended(driver)
        text = (await driver.logs(SPEC.key)).text
        masks = {line.split(":")[0].strip(): int(line.split()[1], 16) for line in text.splitlines() if "Sig" in line}
        ignored = {number for number in signal.Signals if masks["SigIgn"] >> (number - 1) & 1}
        # Python ignores these two by itself. Signals 32 and 33 belong to the C library: nobody can set them.
        assert ignored == {signal.SIGPIPE, signal.SIGXFSZ}
        assert masks["SigBlk"] == 0

    async def test_a_flood_of_output_neither_fills_the_disk_nor_blocks_the_server(
        self, backend: ProcessBackend
    ) -> None:
        backend.settings = replace(backend.settings, keeper=KeeperSettings(log_bytes=64 * 1024))
        driver = await backend.driver()
        await driver.start(
            backend.runs(
                "studio/loud",
                "for _ in range(2000): print('x' * 9999)\nprint('last')",
            )
        )
        report = await ended(driver)
        assert report.exit_code == 0
        logs = await driver.logs(SPEC.key)
        assert logs.text.endswith("x\nlast\n")
        assert 32 * 1024 <= len(logs.text) <= 64 * 1024
        files = [file for file in (backend.directory / SPEC.key).iterdir() if file.is_file()]
        assert sum(file.stat().st_size for file in files) < 80 * 1024

    async def test_a_server_that_prints_without_end_can_still_be_stopped(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(backend.runs("studio/endless", "while True: print('x' * 9999)"))
        await printed(driver, "xxx")
        await driver.stop(SPEC.key)
        assert (await ended(driver)).end_reason is EndReason.STOPPED

    async def test_a_server_that_closes_its_output_lives_on_quietly(self, backend: ProcessBackend) -> None:
        backend.settings = replace(backend.settings, reading_interval=600.0)  # nothing else to do for anybody
        driver = await backend.driver()
        await driver.start(backend.runs("studio/mute", "import os, time\nos.close(1)\nos.close(2)\ntime.sleep(600)"))
        await ready(driver)
        keeper = keeper_of(backend)
        before = _cpu_ticks(keeper)
        # As long as it takes to get a share of the processors ourselves: a loop without sleep would have had one like it.
        began = time.process_time()
        while time.process_time() - began < 0.5:
            pass
        assert _cpu_ticks(keeper) - before <= 10  # of 50

    async def test_pauses_between_restarts_grow(self, backend: ProcessBackend) -> None:
        backend.settings = replace(
            backend.settings, keeper=KeeperSettings(first_delay=0.05, highest_delay=0.4, steady=60.0)
        )
        spec = backend.runs("studio/broken", "import time; print(time.monotonic()); raise SystemExit(1)")
        driver = await backend.driver()
        await driver.start(replace(spec, restart_policy=RestartPolicy.ALWAYS))
        await report_when(driver, lambda report: report.restart_count >= 5)
        starts = [float(line) for line in (await driver.logs(SPEC.key)).text.split()]
        pauses = [later - earlier for earlier, later in pairwise(starts)]
        # Each includes its pause in full; how much more is the machine's affair.
        assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2, 0.4, 0.4), strict=False))

    async def test_a_program_that_cannot_be_run_is_told_at_once(self, backend: ProcessBackend) -> None:
        backend.programs["studio/typo"] = Program(("/no/such/program",))
        driver = await backend.driver()
        await driver.start(replace(SPEC, image="studio/typo", restart_policy=RestartPolicy.ALWAYS))
        report = await ended(driver)
        assert report.end_reason is EndReason.START_FAILED
        assert report.message == "cannot run /no/such/program: No such file or directory"


NODE = """
import asyncio, os, random, sys
from pathlib import Path
from tests.drivers.backends import QUICK, SPEC
from waymeet.clock import SystemClock
from waymeet.drivers.process import Host, PortAllocator, ProcessDriver, Program

async def main():
    program = Program((sys.executable, "-c", sys.argv[2]))
    driver = ProcessDriver(Path(sys.argv[1]), {"waymeet/echo": program}, Host("host", "127.0.0.1"),
        PortAllocator(random.Random()), SystemClock(), environment=os.environ, settings=QUICK,
        port_range=range(int(sys.argv[3]), int(sys.argv[4])))
    await driver.open()
    print("open", flush=True)
    sys.stdin.readline()
    await driver.start(SPEC)
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def node_process(backend: ProcessBackend, script: str) -> subprocess.Popen[bytes]:
    """A process with a driver that waits for a line and then starts a server."""
    ports = backend.port_range
    return subprocess.Popen(
        [sys.executable, "-c", NODE, str(backend.directory), script, str(ports.start), str(ports.stop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


class TestNodeKilled:
    @pytest.mark.parametrize("seed", range(6))
    async def test_killed_at_any_moment_of_a_start_it_never_makes_a_second_server(
        self, backend: ProcessBackend, tmp_path: Path, seed: int
    ) -> None:
        witness = tmp_path / "starts"
        script = f"import os, time\nopen({str(witness)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)"
        chance = random.Random(seed)
        for _ in range(4):
            with node_process(backend, script) as node:
                assert node.stdin is not None
                assert node.stdout is not None
                assert node.stdout.readline() == b"open\n"
                node.stdin.write(b"\n")
                node.stdin.flush()
                await asyncio.sleep(chance.uniform(0, 0.012))  # a start takes about 4 ms
                node.kill()
        backend.programs["waymeet/echo"] = Program((sys.executable, "-c", script))
        driver = await backend.driver()
        await driver.start(replace(SPEC, ports=()))
        await report_when(driver, lambda report: report.spawned_at is not None)
        eventually(witness.exists)
        await driver.stop(SPEC.key)
        await ended(driver)
        assert len(witness.read_text().split()) == 1
        eventually(lambda: not backend.left(SPEC.key))


class TestStart:
    async def test_the_program_finds_its_environment_and_nothing_of_ours(
        self, backend: ProcessBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAYMEET_TOKEN", "the node's secret")
        driver = await backend.driver()
        spec = backend.runs("studio/env", "import json, os; print(json.dumps(dict(os.environ)))")
        await driver.start(
            replace(
                spec,
                ports=(PortRequest("Game Port", 0, PortProtocol.UDP), PortRequest("", 7777, PortProtocol.TCP)),
                platform_environment={"ARBITRIUM_REQUEST_ID": "57f84a8e1298", "MODE": "platform"},
                environment={"MODE": "caller", "ARBITRIUM_HOST_ID": "mine"},
            )
        )
        report = await ended(driver)
        environment = json.loads((await driver.logs(SPEC.key)).text)
        game, unnamed = report.ports
        assert environment["ARBITRIUM_REQUEST_ID"] == "57f84a8e1298"
        assert environment["MODE"] == "caller"
        assert environment["ARBITRIUM_HOST_ID"] == "mine"
        assert environment["ARBITRIUM_PUBLIC_IP"] == "127.0.0.1"
        assert environment["ARBITRIUM_BEACON_ENABLED"] == "false"
        assert environment["ARBITRIUM_PORT_GAME_PORT_INTERNAL"] == str(game.internal)
        assert environment["ARBITRIUM_PORT_GAME_PORT_EXTERNAL"] == str(game.external)
        assert environment["ARBITRIUM_PORT_GAME_PORT_PROTOCOL"] == "UDP"
        assert environment["ARBITRIUM_PORT_7777_INTERNAL"] == str(unnamed.internal)
        mapping = json.loads(environment["ARBITRIUM_PORTS_MAPPING"])["ports"]
        assert mapping["Game Port"] == {
            "name": "Game Port",
            "internal": game.internal,
            "external": game.external,
            "protocol": "UDP",
        }
        assert set(mapping) == {"Game Port", "7777"}
        assert "WAYMEET_TOKEN" not in environment

    async def test_secrets_never_touch_the_disk(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(replace(SPEC, environment={"PASSWORD": "hunter2-hunter2"}))
        await ready(driver)
        assert b"hunter2" in environment_of(program_of(backend))
        contents = [file.read_bytes() for file in backend.directory.rglob("*") if file.is_file()]
        assert contents
        assert not any(b"hunter2" in content for content in contents)

    async def test_arguments_follow_the_operator_s_command(self, backend: ProcessBackend) -> None:
        backend.programs["studio/args"] = Program(
            ("{python}", "-c", "import sys; print(sys.argv[1:])", "{tag}", "{address}:{port:game}", "{other}")
        )
        driver = await backend.driver()
        await driver.start(replace(SPEC, image="studio/args", arguments="--map 'big one' $HOME"))
        report = await ended(driver)
        port = report.ports[0].internal
        expected = ["1.0", f"127.0.0.1:{port}", "{other}", "--map", "big one", "$HOME"]
        assert (await driver.logs(SPEC.key)).text == f"{expected}\n"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"command": "/bin/sh"}, "allow_command"),
            ({"arguments": "'unclosed"}, "arguments"),
            ({"environment": {"A": "x\0B=y"}}, "zero character"),
            ({"environment": {"A=B": "x"}}, "environment"),
            ({"key": "../escape"}, "key"),
            ({"key": ""}, "key"),
            ({"key": ".."}, "key"),
        ],
    )
    async def test_a_spec_that_cannot_be_run_safely_is_refused(
        self, backend: ProcessBackend, change: dict[str, object], words: str
    ) -> None:
        driver = await backend.driver()
        spec = replace(SPEC, **change)  # type: ignore[arg-type]
        await driver.start(spec)
        report = await ended(driver, spec.key)
        assert report.end_reason is EndReason.START_FAILED
        assert words in (report.message or "")
        assert [entry.name for entry in backend.directory.iterdir() if entry.is_dir()] == []
        await driver.forget(spec.key)
        assert await driver.look() == []

    async def test_a_command_of_the_version_runs_where_the_operator_allows_it(self, backend: ProcessBackend) -> None:
        backend.programs["studio/open"] = Program(("/bin/false",), allow_command=True)
        driver = await backend.driver()
        await driver.start(replace(SPEC, image="studio/open", command="/bin/echo", arguments="hello"))
        await ended(driver)
        assert (await driver.logs(SPEC.key)).text == "hello\n"

    async def test_without_a_port_left_there_is_no_room(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        await driver.start(replace(SPEC, ports=SPEC.ports * 3000))
        report = await ended(driver)
        assert report.end_reason is EndReason.NO_ROOM

    async def test_a_port_stays_its_server_s_also_with_a_new_driver_and_before_it_is_bound(
        self, backend: ProcessBackend
    ) -> None:
        spec = replace(backend.runs("studio/lazy", "import time; time.sleep(600)"), ports=SPEC.ports)
        [port] = PortAllocator(random.Random()).take(1, backend.port_range)
        backend.port_range = range(port, port + 1)
        driver = await backend.driver()
        await driver.start(spec)
        await report_when(driver, lambda report: report.spawned_at is not None)
        await driver.close()
        successor = await backend.driver()
        await successor.start(replace(spec, key="server-2"))
        assert (await ended(successor, "server-2")).end_reason is EndReason.NO_ROOM
        await successor.stop(spec.key)
        await ended(successor)

        async def forgotten() -> bool:
            await successor.forget(spec.key)
            await successor.forget("server-2")
            return not await successor.look()

        await eventually_async(forgotten)
        await successor.start(replace(spec, key="server-3"))
        assert (await report_when(successor, lambda _: True, "server-3")).ports[0].external == port

    async def test_what_a_server_left_is_removed_away_from_the_event_loop(
        self, backend: ProcessBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A program may leave so many files that removing them takes minutes."""
        removing: list[int] = []
        remove = shutil.rmtree

        def noted(path: Path, *, ignore_errors: bool) -> None:
            if path.exists():
                removing.append(threading.get_ident())
            remove(path, ignore_errors=ignore_errors)

        monkeypatch.setattr(shutil, "rmtree", noted)
        driver = await backend.driver()
        await driver.start(SPEC)
        await ready(driver)
        await driver.stop(SPEC.key)
        await ended(driver)

        async def forgotten() -> bool:
            await driver.forget(SPEC.key)
            return not await driver.look()

        await eventually_async(forgotten)
        assert len(removing) == 1
        assert removing[0] != threading.get_ident()
        assert [entry.name for entry in backend.directory.iterdir() if entry.is_dir()] == []

    async def test_trouble_with_the_disk_ends_that_server_only(self, backend: ProcessBackend) -> None:
        driver = await backend.driver()
        (backend.directory / "blocked").write_text("in the way")
        await driver.start(replace(SPEC, key="blocked"))
        await driver.start(SPEC)
        assert (await ended(driver, "blocked")).end_reason is EndReason.START_FAILED
        await ready(driver)

    async def test_a_directory_belongs_to_one_driver(self, backend: ProcessBackend) -> None:
        await backend.driver()
        backend.settings = replace(backend.settings, patience=0.1)
        with pytest.raises(Unavailable, match="another node"):
            await backend.driver()


async def test_a_busy_server_s_readings_show_it(process_backend: ProcessBackend) -> None:
    driver = await process_backend.driver()
    await driver.start(process_backend.runs("studio/busy", "held = b'x' * 50_000_000\nwhile True: pass"))

    async def busy() -> bool:
        readings = await driver.readings(SPEC.key)
        return any((reading.cpu_fraction or 0) > 0.02 and (reading.memory_bytes or 0) > 50e6 for reading in readings)

    await eventually_async(busy)
    assert len(await driver.readings(SPEC.key)) <= process_backend.settings.readings_kept


def environment_of(number: int) -> bytes:
    return Path(f"/proc/{number}/environ").read_bytes()


def _is_alive(number: int) -> bool:
    return Path(f"/proc/{number}/cmdline").exists() and not _has_ended(number)


def _has_ended(number: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def _cpu_ticks(number: int) -> int:
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
