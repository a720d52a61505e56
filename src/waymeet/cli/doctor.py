"""`waymeet doctor`: what is wrong with this machine, the settings or the server, and what to do about it."""

import asyncio
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import httpx
import msgspec
from rich.console import Console
from rich.table import Table

import waymeet
from waymeet.cli.geo import age_text, opened
from waymeet.clock import SystemClock
from waymeet.model.errors import Invalid
from waymeet.model.instant import MICROSECONDS
from waymeet.model.node_messages import Role
from waymeet.node.relay.choice import EngineKind, WantedEngine, choose, why_not_native
from waymeet.node.relay.endpoints import WANTED_BUFFER, enlarge
from waymeet.settings import NodeSettings, Settings
from waymeet.supervise import port_problem

OLDEST_SQLITE = (3, 35)
"""The first with RETURNING."""
FREE_MEGABYTES = 200
ANSWER_SECONDS = 3.0
OLDEST_GEO_SECONDS = 365 * 86_400
"""Networks move between cities at some percent a month; what is older than a year misleads more than it helps."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` is what to do when it is not well; without one, all is well."""

    subject: str
    seen: str
    remedy: str | None = None
    works: bool = False
    """Everything works all the same, only not as well as it could: the remedy is advice."""

    @property
    def well(self) -> bool:
        return self.remedy is None or self.works


class _Health(msgspec.Struct):
    """What `/readyz` answers."""

    ready: bool
    checks: dict[str, str] = {}


def examine(settings: Settings) -> int:
    """Look at everything and print the findings; 0 when all is well, 1 otherwise. Changes nothing, takes seconds."""
    found = list(findings(settings))
    console = Console()
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in found:
        mark = "[red]✗[/]" if not finding.well else "[green]✓[/]" if finding.remedy is None else "[yellow]![/]"
        table.add_row(mark, finding.subject, finding.seen)
        if finding.remedy is not None:
            table.add_row("", "", f"[yellow]→ {finding.remedy}[/]")
    console.print(table)
    wrong = sum(not finding.well for finding in found)
    console.print("All is well" if not wrong else f"{wrong} of {len(found)} checks found something to do")
    return 1 if wrong else 0


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything that is looked at, in the order in which it makes sense to mend it."""
    yield _python()
    yield _sqlite()
    yield _event_loop()
    yield _clock()
    yield _directory(settings.data)
    yield asyncio.run(_database(settings))
    yield _geo(settings)
    yield from _programs(settings)
    yield from (_datagrams(address) for address in sorted({node.address for node in settings.nodes}))
    if any(node.probe.enabled for node in settings.nodes):
        yield from (_icmp(family) for family in (socket.AF_INET, socket.AF_INET6))
    if relays := [node for node in settings.nodes if Role.RELAY in node.roles]:
        yield from (relay_finding(node, why_not_native()) for node in relays)
        yield _relay_buffers()
    yield from _server(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    well = sys.version_info >= (3, 11)
    return Finding("Python", f"{version}, {sys.executable}", None if well else "install Python 3.11 or newer")


def _sqlite() -> Finding:
    well = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    oldest = ".".join(map(str, OLDEST_SQLITE))
    remedy = None if well else f"use a Python built with SQLite {oldest} or newer, or PostgreSQL"
    return Finding("SQLite", sqlite3.sqlite_version, remedy)


def _event_loop() -> Finding:
    try:
        import uvloop
    except ImportError as error:
        return Finding("uvloop", str(error), "install Waymeet again, with its dependencies")
    return Finding("uvloop", metadata.version(uvloop.__name__))


def _clock() -> Finding:
    now = SystemClock().now() / MICROSECONDS
    installed = Path(waymeet.__file__).stat().st_mtime
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    # Nobody can tell the right time without a network, but a clock before the installation is surely wrong.
    remedy = "set the machine's clock: Waymeet was installed later than this" if now < installed else None
    return Finding("clock", shown, remedy)


def _directory(directory: Path) -> Finding:
    place = directory
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Finding("directory", f"{directory} cannot be written", "name another with --data, or change its owner")
    free = shutil.disk_usage(place).free // 1_000_000
    seen = f"{directory}, {free} MB free"
    return Finding("directory", seen, f"make room: {FREE_MEGABYTES} MB at least" if free < FREE_MEGABYTES else None)


async def _database(settings: Settings) -> Finding:
    file = settings.sqlite_file
    if file is not None:
        return _sqlite_database(file)
    import asyncpg

    # The URL holds a password: show where it leads, never the whole.
    place = settings.database_url.rpartition("@")[2]
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=ANSWER_SECONDS)
        try:
            version = await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        reason = str(error) or type(error).__name__
        return Finding("database", f"{place}: {reason}", "start PostgreSQL, or mend WAYMEET_DATABASE_URL")
    return Finding("database", f"PostgreSQL {version} at {place}")


def _sqlite_database(file: Path) -> Finding:
    if not file.exists():
        return Finding("database", f"{file}, made at the first start")
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=ANSWER_SECONDS)
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()  # lint: allow sql - no table is touched
        finally:
            connection.close()
    except sqlite3.Error as error:
        verdict = str(error)
    well = verdict == "ok"
    return Finding("database", f"{file}: {verdict}", None if well else "restore the directory from a backup")


def _geo(settings: Settings) -> Finding:
    state = opened(settings.geo).state
    now = SystemClock().now()
    age = state.age_seconds(now)
    if age is None:
        return Finding("geo data", "none", "; ".join(state.problems), works=not settings.geo.database)
    seen = f"{', '.join(file.kind for file in state.files)}, {age_text(state, now)}"
    if state.problems:
        return Finding("geo data", seen, "; ".join(state.problems))
    remedy = "old: run `waymeet geo update`, or replace the files of geo.database"
    return Finding("geo data", seen, remedy if age > OLDEST_GEO_SECONDS else None, works=True)


def _programs(settings: Settings) -> Iterator[Finding]:
    for image, program in settings.programs.items():
        executable = program.command[0]
        path = sys.executable if executable == "{python}" else shutil.which(executable)
        subject = f"program {image}"
        if path is None:
            yield Finding(subject, f"{executable} is no executable file", f'mend command in [programs."{image}"]')
        else:
            yield Finding(subject, path)


def _datagrams(address: str) -> Finding:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    subject = f"UDP on {address}"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as receiver, socket.socket(family, socket.SOCK_DGRAM) as sender:
            receiver.bind((address, 0))
            receiver.settimeout(ANSWER_SECONDS)
            sender.sendto(b"waymeet doctor", receiver.getsockname())
            receiver.recv(64)
    except OSError as error:
        reason = error.strerror or "nothing arrived"
        return Finding(
            subject, reason, "give the machine that address, allow UDP to it, or change address in [[nodes]]"
        )
    return Finding(subject, "a datagram arrives")


def _icmp(family: socket.AddressFamily) -> Finding:
    """How this user could measure players' round-trip times. Without ICMP, TCP is left: it works, with fewer players."""
    from waymeet.node.probing.icmp import IcmpKind, open_icmp

    subject = "probing by ICMPv6" if family == socket.AF_INET6 else "probing by ICMP"
    opened = open_icmp(family)
    if opened is None:
        remedy = "allow it to the group of this user: sysctl net.ipv4.ping_group_range='0 2147483647'"
        return Finding(subject, "not permitted; the time of TCP connections is measured instead", remedy, works=True)
    opened[0].close()
    return Finding(subject, "unprivileged" if opened[1] is IcmpKind.UNPRIVILEGED else "by a raw socket (CAP_NET_RAW)")


def relay_finding(node: NodeSettings, missing: str | None) -> Finding:
    """Which relay the node would run, where `missing` keeps the native one from running."""
    subject = f"relay of {node.name}"
    chosen = node.relay
    try:
        choice = choose(
            node.name, WantedEngine(EngineKind(chosen.engine), chosen.workers, chosen.spin_microseconds), missing
        )
    except Invalid as error:
        return Finding(subject, "it cannot start", str(error))
    if not choice.is_native:
        remedy = f"for the native relay: {choice.reason}" if choice.reason else None
        return Finding(subject, "the one in Python", remedy, works=True)
    from waymeet import _relay

    build = _relay.build_info()
    seen = f"native {build['version']} for {build['target']}, {build['compiler']}"
    slow = "built without optimisation: run `make build`, or install Waymeet again"
    return Finding(subject, seen, slow if build["profile"] == "debug" else None, works=True)


def _relay_buffers() -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        given = enlarge([probe])
    remedy = f"bursts may be lost: sysctl net.core.rmem_max={WANTED_BUFFER} net.core.wmem_max={WANTED_BUFFER}"
    return Finding("relays' buffers", f"{given} bytes", remedy if given < WANTED_BUFFER else None, works=True)


def _server(settings: Settings) -> Iterator[Finding]:
    url = settings.local_url
    try:
        alive = httpx.get(f"{url}/healthz", timeout=ANSWER_SECONDS, trust_env=False)
    except httpx.ConnectError:
        problem = port_problem((settings.host, settings.port))
        yield Finding("server", problem or f"none at {url}; the port is free", problem and "choose another --port")
        return
    except httpx.HTTPError as error:
        yield Finding("server", f"{url}: {error}", "another program may have the port: choose another --port")
        return
    if alive.status_code != 200:
        yield Finding("server", f"{url}/healthz answers {alive.status_code}", "another program may have the port")
        return
    yield Finding("server", f"{url} is alive")
    try:
        answer = httpx.get(f"{url}/readyz", timeout=ANSWER_SECONDS, trust_env=False)
        health = msgspec.json.decode(answer.content, type=_Health)
    except (httpx.HTTPError, msgspec.DecodeError) as error:
        yield Finding("readiness", str(error), "see the server's log")
        return
    for name, state in health.checks.items():
        yield Finding(f"server's {name}", state, None if state == "ok" else "see the server's log", works=health.ready)
