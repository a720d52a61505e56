"""SQLite when the disk is full, the file is locked, or a unit misbehaves: `Unavailable`, then back to work by itself."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from waymeet.accounts.types import Organisation
from waymeet.clock import SystemClock
from waymeet.model.errors import NotFound, Unavailable
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.store import sqlite
from waymeet.store.engine import UnitSuspended
from waymeet.store.sqlite import SqliteStore
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio


class ImpatientClock(SystemClock):
    """Each look at it costs a second, so that waiting for a lock soon ends."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def monotonic(self) -> float:
        self._seconds += 1.0
        return self._seconds


class StillClock(SystemClock):
    """No time passes, so that units handed in together share a commit however slow the machine is."""

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
async def path(tmp_path: Path, sqlite_template: Path) -> Path:
    copy = tmp_path / "waymeet.sqlite3"
    shutil.copy(sqlite_template, copy)
    return copy


@pytest.fixture
async def alone(path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, ImpatientClock())
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def together(path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, StillClock())
    await store.open()
    yield store
    await store.close()


async def add(store: SqliteStore, name: str, secret: str = "whsec_x") -> None:
    async def unit(tx: Transaction) -> None:
        assert await tx.accounts.add_organisation(Organisation(OrganisationId(name), name, Instant(1)), secret)

    await store.write(unit)


async def exists(store: SqliteStore, name: str) -> bool:
    async def unit(tx: Transaction) -> bool:
        return await tx.accounts.find_organisation(name) is not None

    return await store.read(unit)


def writer(store: SqliteStore) -> sqlite3.Connection:
    assert store._writer is not None
    return store._writer.raw


async def test_a_unit_that_awaits_anything_else_fails_and_leaves_nothing(alone: SqliteStore) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.accounts.add_organisation(Organisation(OrganisationId("a"), "a", Instant(1)), "whsec_x")
        await asyncio.sleep(0)

    with pytest.raises(UnitSuspended):
        await alone.write(unit)
    with pytest.raises(UnitSuspended):
        await alone.read(unit_that_sleeps)
    with pytest.raises(UnitSuspended):
        await alone.scan(unit_that_sleeps)
    assert not await exists(alone, "a")
    await add(alone, "b")


async def unit_that_sleeps(_tx: Transaction) -> None:
    await asyncio.sleep(0)


async def test_a_full_file_is_unavailable_until_there_is_room(alone: SqliteStore) -> None:
    raw = writer(alone)
    pages = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count = {pages}")
    outcomes = await asyncio.gather(
        *(add(alone, f"n{number}", "x" * 100_000) for number in range(10)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert not await exists(alone, "n0")
    raw.execute("PRAGMA max_page_count = 1000000")
    await add(alone, "n0", "x" * 100_000)
    assert await exists(alone, "n0")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 2 MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        missing("mount", f"a small file system cannot be mounted here: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


async def test_a_full_disk_is_unavailable_until_there_is_room(
    small_disk: Path, sqlite_template: Path, anyio_backend: str
) -> None:
    path = small_disk / "waymeet.sqlite3"
    shutil.copy(sqlite_template, path)
    store = SqliteStore(path, SystemClock())
    await store.open()
    await add(store, "first")
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        fill(ballast)
    names = [f"n{number}" for number in range(20)]
    outcomes = await asyncio.gather(*(add(store, name, "x" * 50_000) for name in names), return_exceptions=True)
    assert Unavailable in {type(outcome) for outcome in outcomes}
    # What was refused is not there, and what was confirmed is.
    for name, outcome in zip(names, outcomes, strict=True):
        assert await exists(store, name) == (outcome is None)
    assert await exists(store, "first")
    ballast.unlink()
    await add(store, "last")
    assert await exists(store, "last")
    await store.close()


async def test_a_lock_that_somebody_else_keeps_is_unavailable_for_all_who_wait(alone: SqliteStore, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    count = 3 * sqlite.UNITS_PER_COMMIT
    outcomes = await asyncio.gather(*(add(alone, f"n{number}") for number in range(count)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    other.execute("ROLLBACK")
    other.close()
    await add(alone, "after")


async def test_a_lock_that_is_soon_released_is_waited_for(path: Path, anyio_backend: str) -> None:
    store = SqliteStore(path, SystemClock())
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(add(store, "a"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    other.execute("ROLLBACK")
    other.close()
    await waiting
    await store.close()


async def test_a_commit_that_fails_is_told_to_every_unit_of_the_group(together: SqliteStore) -> None:
    # A deferred foreign key is the one thing that SQLite finds out at the commit only.
    raw = writer(together)
    raw.execute("CREATE TABLE child (parent TEXT REFERENCES organisation (id) DEFERRABLE INITIALLY DEFERRED)")
    orphan = Statement("INSERT INTO child VALUES ('nobody')")
    heard: list[str | None] = []
    together.bells.listen("topic", heard.append)

    async def unit(tx: Transaction) -> None:
        tx.wake("topic")
        await tx.connection.execute(orphan)

    outcomes = await asyncio.gather(
        add(together, "a"), together.write(unit), add(together, "b"), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert not await exists(together, "a")
    assert heard == []
    await add(together, "a")


async def test_a_transaction_that_ended_under_a_unit_fails_its_group_and_nothing_leaks(
    together: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def swallows(tx: Transaction) -> None:
        writer(together).execute("ROLLBACK")  # As a full disk does it.
        try:
            await tx.accounts.add_organisation(Organisation(OrganisationId("leak"), "leak", Instant(1)), "whsec_x")
        except sqlite3.OperationalError:
            raise NotFound("told otherwise") from None

    async def goes_on(_tx: Transaction) -> None:
        writer(together).execute("ROLLBACK")

    for unit in (swallows, goes_on):
        outcomes = await asyncio.gather(add(together, "a"), together.write(unit), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        assert not await exists(together, "a")
    assert not await exists(together, "leak")
    await add(together, "a")


async def test_a_group_ends_when_its_time_is_up(together: SqliteStore, alone: SqliteStore) -> None:
    for store, groups in ((together, 1), (alone, 10)):
        statements: list[str] = []
        writer(store).set_trace_callback(statements.append)
        await asyncio.gather(*(add(store, f"{groups}-{number}") for number in range(10)))
        assert statements.count("COMMIT") == groups
        assert await exists(store, f"{groups}-9")


async def test_too_many_waiting_units_are_refused_at_once(path: Path, anyio_backend: str) -> None:
    store = SqliteStore(path, SystemClock(), highest_pending_units=10)
    await store.open()
    outcomes = await asyncio.gather(*(add(store, f"n{number}") for number in range(15)), return_exceptions=True)
    await store.close()
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 10 + [Unavailable] * 5


async def test_a_mistake_in_a_statement_is_no_outage(alone: SqliteStore) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.connection.execute(Statement("UPDATE no_such_table SET a = 1"))

    async def write_while_reading(tx: Transaction) -> None:
        await tx.accounts.add_organisation(Organisation(OrganisationId("a"), "a", Instant(1)), "whsec_x")

    with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
        await alone.write(unit)
    for reading in (alone.read, alone.scan):
        with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
            await reading(unit)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reading(write_while_reading)
    await add(alone, "a")


async def test_close_waits_for_the_commit_under_way(alone: SqliteStore) -> None:
    under_way = [asyncio.ensure_future(add(alone, f"n{number}")) for number in range(500)]
    await asyncio.sleep(0)
    await alone.close()
    assert await asyncio.gather(*under_way, return_exceptions=True) == [None] * 500


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path, anyio_backend: str) -> None:
    store = SqliteStore(tmp_path / "no-such-directory" / "waymeet.sqlite3", SystemClock())
    with pytest.raises(Unavailable):
        await store.open()
    await store.close()


async def test_what_was_confirmed_survives_another_process_reading_it(alone: SqliteStore, path: Path) -> None:
    await add(alone, "a")
    other = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    assert other.execute("SELECT name FROM organisation").fetchall() == [("a",)]
    other.close()
