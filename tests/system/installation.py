"""A whole installation under test: real processes on loopback, in a directory of its own.

    with Installation(tmp_path) as installation:
        installation.up()
        session = installation.client.sessions.create("echo", "1.0", ips=["203.0.113.7"])

or, in a test, the fixture `installation`, which has not started anything yet. It kills its own processes only, and at the
end there is none left, or the test fails.
"""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.polling import GENEROUS_SECONDS, eventually
from tests.ports import PortWindow
from tests.system.processes import MARK, Process, Role, processes_of
from waymeet.client import Client
from waymeet.settings.types import LimitSettings

TOKEN = "installation-token"
NODE_TOKEN = "installation-node-token"

_OWN_PORTS = 20
"""Of an installation's ports, so many are for its control planes; the others are its game servers'."""
_GAME_PORTS = "<the game servers' ports>"
_UNLIMITED_LOBBIES = "[lobbies]\ncreations_per_minute = 0\nrequests_per_second = 0\nrooms_per_address = 0\n"
_UNLIMITED = "[limits]\n" + "".join(f"{name} = 0\n" for name in LimitSettings.__struct_fields__)


class Program:
    """One `waymeet` command, running or ended."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output_file = output

    @property
    def output(self) -> str:
        """What it and its children have printed, standard error included."""
        return self.output_file.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(timeout=GENEROUS_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop; the exit code."""
        self.send(number)
        return self.wait()


class Installation:
    """A data directory, a configuration, a port and a database, and the programs that were started on them."""

    def __init__(
        self,
        directory: Path,
        *,
        settings: str = "",
        nodes: Sequence[str] = (),
        database_url: str = "",
        within: Sequence[str] = (),
    ) -> None:
        """`settings` is TOML without nodes; `nodes` are tables that `node_table` wrote, by default one named `local`.

        `within` is a command that starts each program, in a place of its own.
        """
        self.directory = directory / "installation"
        self.directory.mkdir(parents=True)
        self.data = self.directory / "data"
        self._ports = PortWindow()
        self.port = self.free_port()
        self.database_url = database_url
        self._within = tuple(within)
        self._mark = str(uuid.uuid4())
        self._programs: list[Program] = []
        self._clients: list[Client] = []
        self.config = self.directory / "waymeet.toml"
        self.configure(settings, nodes)

    def configure(self, settings: str = "", nodes: Sequence[str] = ()) -> None:
        """Write the configuration anew, for programs that are started from now on."""
        tables = nodes or [node_table("local", "127.0.0.1")]
        # Tests call as fast as the machine can, and those of the limits themselves say so.
        limits = "" if "[limits]" in settings else _UNLIMITED
        # Whether a relay confirms in time is for the tests of just that, not for how busy the machine is.
        relays = "" if "[relays]" in settings else "[relays]\nconfirm_seconds = 60\n"
        lobbies = "" if "[lobbies]" in settings else _UNLIMITED_LOBBIES
        written = "\n".join([f'node_token = "{NODE_TOKEN}"', settings, limits, relays, lobbies, *tables])
        games = self._ports.ports[_OWN_PORTS:]
        self.config.write_text(written.replace(_GAME_PORTS, f"{games[0]}-{games[-1]}"))

    def free_port(self) -> int:
        """A TCP port of loopback that nothing uses, and that nobody else takes before it is bound."""
        return self._ports.take()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> Client:
        """The first client of this installation's own port, with the operator's token."""
        return self._clients[0] if self._clients else self.connect()

    def connect(self, url: str | None = None) -> Client:
        """A client, closed at the end."""
        client = Client(url or self.url, TOKEN, timeout=GENEROUS_SECONDS)
        self._clients.append(client)
        return client

    def up(self, *, wait: bool = True, arguments: Sequence[str] = ("--sample",)) -> Program:
        """`waymeet up`; once it is ready, unless told not to wait."""
        program = self.run("up", "--port", str(self.port), "--token", TOKEN, *self._database(), *arguments)
        if wait:
            # Not `/readyz`: a control plane of an earlier run, which is about to end, may still answer that.
            self._wait_for(program, lambda: "Waymeet is ready at" in program.output)
        return program

    def serve(self, port: int | None = None, *, arguments: Sequence[str] = ("--sample",)) -> Program:
        """`waymeet serve` on this installation's port, or another; once it answers at all."""
        port = port or self.port
        program = self.run("serve", "--port", str(port), "--token", TOKEN, *self._database(), *arguments)
        client = self.connect(f"http://127.0.0.1:{port}")
        self._wait_for(program, client.is_alive)
        return program

    def node(self, url: str | None = None, *, arguments: Sequence[str] = ()) -> Program:
        """`waymeet node` with all the nodes of the configuration, just started."""
        return self.run("node", "--url", url or self.url, "--token", NODE_TOKEN, *arguments)

    def run(self, command: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Program:
        """Any `waymeet` command on this installation's data and configuration, just started, in a group of its own."""
        output = self.directory / f"{len(self._programs)}-{command}.log"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("WAYMEET_")}
        variables |= {"HOME": str(self.directory), "NO_COLOR": "1", MARK: self._mark} | dict(environment or {})
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [
                    *(*self._within, sys.executable, "-m", "waymeet.cli", command),
                    *("--data", str(self.data), "--config", str(self.config), *arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=variables,
                # Our own Ctrl-C is not its; and what is sent to its group reaches it as a terminal's would.
                process_group=0,
            )
        program = Program(process, output)
        self._programs.append(program)
        return program

    def wait_until_ready(self, program: Program | None = None) -> None:
        """Until `/readyz` says so. Fails at once when `program` has ended instead."""
        self._wait_for(program, self.client.is_ready)

    def processes(self, *roles: Role) -> list[Process]:
        """Its living processes, those of the given roles, or all."""
        return [found for found in processes_of(self.directory, self._mark) if not roles or found.role in roles]

    def only(self, role: Role, request_id: str | None = None, *, other_than: Process | None = None) -> Process:
        """The one process of this role (and deployment), once there is exactly one, and it is not `other_than`."""

        def found() -> Process | None:
            matching = [process for process in self.processes(role) if request_id in (None, process.request_id)]
            return matching[0] if len(matching) == 1 and matching[0] != other_than else None

        process = eventually(found)
        assert process is not None
        return process

    def game_servers(self) -> dict[str, Process]:
        """Its game servers by deployment. Fails when a deployment has two."""
        found = self.processes(Role.GAME_SERVER)
        servers = {str(process.request_id): process for process in found}
        assert len(servers) == len(found), f"a deployment has two game servers: {found}"
        return servers

    def assert_nothing_left(self) -> None:
        """No process of this installation is there any more."""
        left = self.processes()
        assert not left, f"processes are left: {left}"

    def report(self) -> str:
        """What all its programs have printed."""
        return "\n".join(f"--- {program.output_file.name}\n{program.output}" for program in self._programs)

    def close(self) -> None:
        """Stop what runs. Fails when something did not stop, or is left; afterwards it is gone all the same."""
        try:
            for program in reversed(self._programs):
                if program.process.poll() is None:
                    program.stop()
            self.assert_nothing_left()
        except BaseException:
            print(self.report())
            raise
        finally:
            self.kill_all()
            for client in self._clients:
                client.close()

    def kill_all(self) -> None:
        """End every process of this installation, the supervisor first so that it does not start any again."""
        while left := self.processes():
            for process in sorted(left, key=lambda process: process.role is not Role.SUPERVISOR):
                process.kill()
        for program in self._programs:
            program.process.wait()
        self._ports.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        # The test has failed already: what it was waiting for may never come, and what it left says nothing.
        self.kill_all()
        print(self.report())

    def _database(self) -> list[str]:
        return ["--database-url", self.database_url] if self.database_url else []

    def _wait_for(self, program: Program | None, check: Callable[[], bool]) -> None:
        def so() -> bool:
            if program is not None and (code := program.process.poll()) is not None:
                raise AssertionError(f"it ended with {code} instead of getting ready:\n{program.output}")
            return check()

        eventually(so)


def node_table(name: str, address: str = "127.0.0.1", *, capacity: int = 20, more: str = "") -> str:
    """A `[[nodes]]` table. `more` is TOML that is added to it. All nodes of an installation share its ports.

    Nodes measure nobody unless `more` says otherwise: tests name players of the real internet, and send it nothing.
    """
    probe = "" if "probe" in more else "probe = { enabled = false }\n"
    return (
        f'[[nodes]]\nname = "{name}"\naddress = "{address}"\ncapacity = {capacity}\nports = "{_GAME_PORTS}"\n'
        f"{probe}{more}\n"
    )
