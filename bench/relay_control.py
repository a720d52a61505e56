"""What the relay sessions API takes and how long its promises take, on a control plane with one node on this machine.

    python bench/relay_control.py [--sessions 1000] [--callers 50] [--postgres postgresql://user@host/database]

One `waymeet up` per database, its node with the relay in it. Reported are, in milliseconds (p50, p95, p99):

- create to READY, alone: one caller makes a session, and asks every 2 ms until it is READY;
- create to READY, all: so do all callers at once, each asking every 20 ms;
- level: the node is killed with all sessions on it; from the moment when its successor is connected again until it lets
  somebody in to each of them;
- create, authorize, revoke, delete: every caller makes one call after the other, and how many a second that are. All but the
  first answer only when the relay does what they say.

Callers share the machine's cores with what they measure.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.system.installation import TOKEN, Installation, Program
from tests.system.processes import Role

SESSIONS = "/v1/relays/sessions"
USERS = [{"ip": "203.0.113.7"}, {"ip": "198.51.100.23"}]
ALONE = 100
ALONE_ASKS_SECONDS, ALL_ASK_SECONDS = 0.002, 0.02
PERCENTILES = (50, 95, 99)
CONNECTED = "node local: connected to"
LET_IN = b"\1\2"


class Caller:
    """Calls on one connection, with next to no work of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's body; `None` when it has none."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {TOKEN}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        status, *headers = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next((int(line.split(":")[1]) for line in headers if line.startswith("content-length:")), 0)
        answer = await self._reader.readexactly(length)
        code = int(status.split()[1])
        if code not in (200, 204):
            raise RuntimeError(f"{method} {path} answered {code}: {answer.decode()}")
        return json.loads(answer) if answer else None

    async def create(self) -> str:
        """A new session's id."""
        return str((await self.call("POST", SESSIONS, {"users": USERS}))["session_id"])

    async def create_ready(self, asks_seconds: float) -> str:
        """A new session's id, once it is READY."""
        session_id = await self.create()
        await self.wait(session_id, asks_seconds)
        return session_id

    async def wait(self, session_id: str, asks_seconds: float) -> Any:
        """The session once it is READY."""
        while True:
            session = await self.call("GET", f"{SESSIONS}/{session_id}")
            if session["ready"]:
                return session
            await asyncio.sleep(asks_seconds)


@dataclass
class Measured:
    """Calls that were made."""

    milliseconds: list[float]
    seconds: float

    def line(self) -> str:
        ordered = sorted(self.milliseconds)
        times = ", ".join(f"{ordered[(len(ordered) - 1) * percent // 100]:.1f}" for percent in PERCENTILES)
        return f"{len(ordered) / self.seconds:7.0f}/s   {times} ms"


async def measure(
    callers: Sequence[Caller], work: Sequence[Any], call: Callable[[Caller, Any], Awaitable[Any]]
) -> tuple[Measured, list[Any]]:
    """Do all the work, each caller one piece after the other; and what came of it."""
    left = list(enumerate(work))
    results: list[Any] = [None] * len(left)
    took: list[float] = []

    async def one(caller: Caller) -> None:
        while left:
            index, piece = left.pop()
            began = time.perf_counter()
            results[index] = await call(caller, piece)
            took.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(one(caller) for caller in callers))
    return Measured(took, time.perf_counter() - began), results


def level(installation: Installation, program: Program, sessions: Sequence[Any]) -> float:
    """Seconds from the new node's connection until it lets in the first user of each session, after its death."""
    connections = program.output.count(CONNECTED)
    nodes = installation.only(Role.NODES)
    nodes.kill()
    while program.output.count(CONNECTED) == connections:
        time.sleep(0.0005)
    connected = time.perf_counter()
    for session in sessions:
        address = session["relay"]["ip"], session["relay"]["ports"]["server"]["port"]
        tokens = session["session_users"][0]["authorization_token"], session["authorization_token"]
        ping = struct.pack("<IIB", *tokens, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
            player.settimeout(0.005)
            player.connect(address)
            answer = b""
            while answer != LET_IN:
                with contextlib.suppress(OSError):
                    player.send(ping)
                    answer = player.recv(16)
    return time.perf_counter() - connected


async def run(name: str, installation: Installation, program: Program, sessions: int, count: int) -> None:
    """Print what one server does."""
    plane = installation.only(Role.CONTROL_PLANE)
    callers = [await Caller(installation.port).__aenter__() for _ in range(count)]

    async def phase(
        what: str, who: Sequence[Caller], work: Sequence[Any], call: Callable[[Caller, Any], Awaitable[Any]]
    ) -> list[Any]:
        before = plane.processor_seconds
        measured, results = await measure(who, work, call)
        each = (plane.processor_seconds - before) / len(work) * 1e6
        print(f"{name:9} {what:22} {measured.line()}   {each:.0f} us of CPU of the control plane", flush=True)
        return results

    async def delete(caller: Caller, session_id: str) -> None:
        await caller.call("DELETE", f"{SESSIONS}/{session_id}")

    async def authorize(caller: Caller, session_id: str) -> tuple[str, int]:
        body = {"session_id": session_id, "user_ip": "198.51.100.24"}
        user = (await caller.call("POST", f"{SESSIONS}:authorize-user", body))["session_user"]
        return session_id, user["authorization_token"]

    async def revoke(caller: Caller, member: tuple[str, int]) -> None:
        body = {"session_id": member[0], "authorization_token": member[1]}
        await caller.call("POST", f"{SESSIONS}:revoke-user", body)

    everyone = callers
    warm = await measure(everyone, range(count), lambda caller, _: caller.create_ready(ALL_ASK_SECONDS))
    await measure(everyone, warm[1], delete)
    made = await phase(
        "create to READY, alone", everyone[:1], range(ALONE), lambda caller, _: caller.create_ready(ALONE_ASKS_SECONDS)
    )
    await measure(everyone, made, delete)
    made = await phase(
        "create to READY, all", everyone, range(sessions), lambda caller, _: caller.create_ready(ALL_ASK_SECONDS)
    )
    await measure(everyone, made, delete)
    made = await phase("create", everyone, range(sessions), lambda caller, _: caller.create())
    ready = [await everyone[0].wait(session_id, ALL_ASK_SECONDS) for session_id in made]
    seconds = await asyncio.to_thread(level, installation, program, ready)
    print(f"{name:9} level with {len(ready)} sessions {seconds * 1000:.0f} ms", flush=True)
    members = await phase("authorize", everyone, made, authorize)
    await phase("revoke", everyone, members, revoke)
    await phase("delete", everyone, made, delete)
    for caller in callers:
        await caller.__aexit__(None, None, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument("--postgres", default="", help="an empty database; without it PostgreSQL is not measured")
    options = parser.parse_args()
    urls = {"SQLite": ""} | ({"PostgreSQL": options.postgres} if options.postgres else {})
    for name, url in urls.items():
        with (
            tempfile.TemporaryDirectory() as directory,
            Installation(Path(directory), database_url=url) as installation,
        ):
            program = installation.up()
            asyncio.run(run(name, installation, program, options.sessions, options.callers))


if __name__ == "__main__":
    main()
