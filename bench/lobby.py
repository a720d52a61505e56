"""What players who wait in lobbies cost: polling against a static endpoint, and event streams against polling.

    python bench/lobby.py [--rounds 12] [--seconds 1] [--postgres postgresql://user@host/database]

One `waymeet serve` per database, pinned to one core; the clients on the other one.

- `poll`: `wrk` (Debian: apt-get install wrk) asks for 100 rooms in turn, each started and with ten players in it, as a
  thousand players do who wait there; `rate` and `cpu` as in `bench/control.py`, goal: half of the static endpoint.
- `players`: so many players of real rooms, each asking every 0.2 s as Mirror's transport does, and then as many on event
  streams, in turns, while every room changes every two seconds; CPU time of the server per player and minute.
- `memory`: of the server's process, and of the database file, for each of 10,000 rooms that are stored and were read; and of
  the process for each open stream.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.control import CLIENT_CORE, CONNECTIONS, Server, Slice, open_store, spread
from waymeet.clock import SystemClock
from waymeet.lobbies.types import Assignment, Lobby, Member, Room
from waymeet.model.ids import LobbyId, RoomId, SessionId
from waymeet.model.instant import after
from waymeet.model.relays import RelayPorts
from waymeet.model.states import LobbyStatus
from waymeet.store.migrate import ensure_migrated
from waymeet.store.transaction import Transaction

ADDRESS = "bench"
ROOMS, PLAYERS_PER_ROOM = 100, 10
STORED = 10_000
POLL_SECONDS = 0.2
CHANGE_SECONDS = 2.0
SETTINGS = """
[lobbies]
requests_per_second = 0
creations_per_minute = 0
streams_per_address = 0
rooms = 1000000
[limits]
default = 0
"""
SCRIPT = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = wrk.format("GET", line) end
local at = 0
request = function() at = at %% #paths + 1; return paths[at] end
"""


class LobbyServer(Server):
    """A server with a lobby in it, as far as the store knows."""

    def __init__(self, name: str, url: str, port: int, directory: Path) -> None:
        super().__init__(name, url, port, directory, SETTINGS)

    def slice(self, seconds: int, script: Path | None) -> Slice:
        """One slice of wrk over the paths of a script, or on the static endpoint."""
        command = ["taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        command += [f"{self.url}/healthz"] if script is None else ["-s", str(script), self.url]
        before = self.cpu_seconds()
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used = self.cpu_seconds() - before
        if "Non-2xx" in output or "Socket errors" in output:
            raise SystemExit(output)
        requests = int(output.split(" requests in")[0].split()[-1])
        return Slice(float(output.split("Requests/sec:")[1].split()[0]), requests / used)

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


async def seed(url: str, rooms: int, rng: random.Random) -> list[str]:
    """Write a released lobby with started rooms of ten players; the ids of the rooms."""
    store = open_store(url)
    await store.open()
    clock = SystemClock()
    now = clock.now()
    lobby_id = LobbyId(f"{rng.getrandbits(128):032x}")
    made: list[str] = []

    async def lobby(tx: Transaction) -> str:
        organisation = await tx.accounts.find_organisation("default")
        assert organisation is not None
        await tx.lobbies.claim_address([ADDRESS], organisation.id, now)
        await tx.lobbies.insert(
            Lobby(
                lobby_id=lobby_id,
                organisation=organisation.id,
                name=ADDRESS,
                address=ADDRESS,
                status=LobbyStatus.RELEASED,
                url=f"/l/{ADDRESS}",
                created_at=now,
            )
        )
        return organisation.id

    organisation = await store.write(lobby)

    async def some(tx: Transaction) -> None:
        for _ in range(min(ROOMS, rooms)):
            room_id = RoomId(f"{rng.getrandbits(128):032x}")
            made.append(room_id)
            await tx.rooms.insert(
                Room(
                    room_id=room_id,
                    lobby_id=lobby_id,
                    organisation=organisation,
                    lobby_address=ADDRESS,
                    name="bench",
                    capacity=16,
                    tags=("casual", "europe"),
                    members=tuple(
                        Member(f"mirror-player-{rng.getrandbits(31)}", "203.0.113.7", rng.getrandbits(31))
                        for _ in range(PLAYERS_PER_ROOM)
                    ),
                    relay_session=SessionId(f"{rng.getrandbits(48):012x}-S"),
                    assignment=Assignment(rng.getrandbits(31), "192.0.2.1", "192.0.2.1", RelayPorts(28_000, 28_001)),
                    created_at=now,
                    active_at=now,
                    due_at=after(now, 86_400),
                ),
                "203.0.113.7",
            )

    while len(made) < rooms:
        await store.write(some)
    await store.close()
    return made


def poll(server: LobbyServer, rooms: Sequence[str], directory: Path, rounds: int, seconds: int) -> None:
    """Print what polling costs, as a share of the static endpoint."""
    paths = directory / "paths"
    paths.write_text("".join(f"/l/{ADDRESS}/lobbies/{room}\n" for room in rooms[:ROOMS]))
    script = directory / "poll.lua"
    script.write_text(SCRIPT % paths)
    rng = random.Random(7)
    kinds: dict[str, Path | None] = {"static": None, "GET room": script}
    for kind in kinds.values():
        server.slice(1, kind)
    found: dict[str, list[Slice]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in rng.sample(list(kinds), len(kinds)):
            found[kind].append(server.slice(seconds, kinds[kind]))
    for kind, slices in found.items():
        rates = [one.rate / static.rate for one, static in zip(slices, found["static"], strict=True)]
        cpu = [one.per_cpu_second / static.per_cpu_second for one, static in zip(slices, found["static"], strict=True)]
        rate = statistics.median(one.rate for one in slices)
        microseconds = 1e6 / statistics.median(one.per_cpu_second for one in slices)
        print(
            f"{server.name:9} {kind:9} {rate:7.0f}/s {microseconds:6.0f} us of CPU   of static: rate {spread(rates)}, "
            f"cpu {spread(cpu)}"
        )


class Peer:
    """One player's connection, which says no more than it must: it shares the machine with what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
        self.reader = reader
        self.writer = writer
        self.request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
        self.heard = asyncio.Event()

    @classmethod
    async def connected(cls, port: int, path: str) -> "Peer":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader, writer, path)

    async def ask(self) -> None:
        self.writer.write(self.request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self.reader.readexactly(int(length.split(b":")[1]))

    async def poll(self, until: float, rng: random.Random) -> None:
        await asyncio.sleep(rng.random() * POLL_SECONDS)
        while time.monotonic() < until:
            began = time.monotonic()
            await self.ask()
            await asyncio.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - began)))

    async def listen(self) -> None:
        self.writer.write(self.request)
        while True:
            part = await self.reader.read(65_536)
            if not part:
                raise SystemExit("a stream ended")
            if b"event: lobby" in part:
                self.heard.set()


async def poll_all(peers: Sequence[Peer], rng: random.Random, until: float) -> None:
    """All of them poll until then."""
    await asyncio.gather(*(peer.poll(until, rng) for peer in peers))


async def change(port: int, rooms: Sequence[str], until: float) -> int:
    """Change every room every two seconds, spread evenly; how often that was."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    changes = 0
    while time.monotonic() < until:
        body = json.dumps({"tags": [f"tag-{changes}"]})
        head = f"PATCH /l/{ADDRESS}/lobbies/{rooms[changes % len(rooms)]} HTTP/1.1\r\nHost: bench\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(answer.decode())
        changes += 1
        await asyncio.sleep(CHANGE_SECONDS / len(rooms))
    return changes


async def players(server: LobbyServer, port: int, rooms: Sequence[str], count: int, turns: int, seconds: float) -> None:
    """Print what a player costs in a minute, polling and on a stream, with and without what the changes themselves cost."""
    rng = random.Random(3)
    used: dict[str, list[float]] = {"polling": [], "events": [], "changes alone": []}
    streams: dict[str, float] = {}

    async def measured(kind: str, start: Callable[[float], Awaitable[object]]) -> None:
        before, began = server.cpu_seconds(), time.monotonic()
        until = began + seconds
        await asyncio.gather(start(until), change(port, rooms, until))
        minutes = count * (time.monotonic() - began) / 60
        used[kind].append((server.cpu_seconds() - before) * 1000 / minutes)

    for _ in range(turns):
        polling = [await Peer.connected(port, f"/l/{ADDRESS}/lobbies/{rooms[n % len(rooms)]}") for n in range(count)]
        await measured("polling", partial(poll_all, polling, rng))
        for peer in polling:
            peer.writer.close()
        resident = server.resident_bytes()
        paths = [f"/l/{ADDRESS}/lobbies/{rooms[n % len(rooms)]}/events" for n in range(count)]
        listening = [await Peer.connected(port, path) for path in paths]
        tasks = [asyncio.create_task(peer.listen()) for peer in listening]
        await asyncio.gather(*(peer.heard.wait() for peer in listening))
        streams["bytes"] = (server.resident_bytes() - resident) / count
        await measured("events", lambda until: asyncio.sleep(until - time.monotonic()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in listening:
            peer.writer.close()
        await measured("changes alone", lambda until: asyncio.sleep(until - time.monotonic()))
    for kind, costs in used.items():
        print(
            f"{server.name:9} {count} players, {kind:13} {statistics.median(costs):7.2f} ms of CPU per player and minute"
        )
    net = {
        kind: [cost - changes for cost, changes in zip(used[kind], used["changes alone"], strict=True)]
        for kind in ("polling", "events")
    }
    ratio = [one / other for one, other in zip(net["polling"], net["events"], strict=True)]
    print(
        f"{server.name:9} beyond the changes: polling {statistics.median(net['polling']):.2f} ms, events "
        f"{statistics.median(net['events']):.2f} ms, ratio {statistics.median(ratio):.1f}"
    )
    print(f"{server.name:9} a stream takes {streams['bytes'] / 1024:.1f} KiB of memory")


def memory(server: LobbyServer, rooms: Sequence[str], directory: Path, before: int) -> None:
    """Print what a room takes, once all were read."""
    paths = directory / "all-paths"
    paths.write_text("".join(f"/l/{ADDRESS}/lobbies/{room}\n" for room in rooms))
    script = directory / "all.lua"
    script.write_text(SCRIPT % paths)
    server.slice(8, script)
    grown = server.resident_bytes() - before
    print(f"{server.name:9} {len(rooms)} rooms: {grown / len(rooms):.0f} bytes of memory each", end="")
    files = list(directory.glob("*.sqlite3*"))
    if files:
        print(f", {sum(file.stat().st_size for file in files) / len(rooms):.0f} bytes on disk", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--postgres", default="", help="an empty database; without it PostgreSQL is not measured")
    parser.add_argument("--port", type=int, default=18140)
    parser.add_argument("--players", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    os.sched_setaffinity(0, {CLIENT_CORE})
    urls = {"sqlite": ""} | ({"postgres": options.postgres} if options.postgres else {})
    with tempfile.TemporaryDirectory(prefix="waymeet-bench-") as root:
        for index, (name, url) in enumerate(urls.items()):
            directory = Path(root) / name
            directory.mkdir()
            database = url or f"sqlite:///{directory / 'bench.sqlite3'}"
            ensure_migrated(database)
            server = LobbyServer(name, database, options.port + index, directory)
            try:
                rooms = asyncio.run(seed(database, STORED, random.Random(1)))
                server.slice(1, None)
                before = server.resident_bytes()
                poll(server, rooms, directory, options.rounds, options.seconds)
                asyncio.run(players(server, options.port + index, rooms[:ROOMS], options.players, options.turns, 10.0))
                memory(server, rooms, directory, before)
            finally:
                server.stop()


if __name__ == "__main__":
    main()
