"""SQLite: one writer with group commit, reading connections beside it.

Statements run on the event loop's thread: each takes microseconds, far less than handing it to a thread and fighting over
the interpreter lock would cost. What waits for the disk, the COMMIT, runs on a thread of its own, and the units that
arrive meanwhile share the next transaction. Each unit of a group has its own savepoint, so one that fails takes nobody
with it.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any, Generic, TypeVar, cast

from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock
from waymeet.store.bells import Bells
from waymeet.store.engine import Row, StoreClosed, UnitSuspended, Value
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

Result = TypeVar("Result")
Unit = Callable[[Transaction], Awaitable[Result]]

HIGHEST_PENDING_UNITS = 10_000
"""Units waiting for the writer; beyond it callers get `Unavailable` at once instead of waiting ever longer."""
UNITS_PER_COMMIT = 64
SECONDS_PER_COMMIT = 0.02
"""After this long a group takes no further unit: others on the event loop have waited for their turn."""
BUSY_SECONDS = 5.0
"""How long to wait for another process that holds the write lock (a backup, a command line tool)."""
BUSY_RETRY_SECONDS = 0.005
_CACHE_KIB = 16 * 1024

# Primary result codes for "the file or the disk cannot do it now". Whatever else SQLite complains about is a mistake of
# ours, in SQL or in a constraint, and must not be taken for an outage that goes away.
_OUTAGES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)

_log = logging.getLogger(__name__)


class SqliteConnection:
    """`engine.Connection` over sqlite3. Its coroutines never suspend."""

    dialect = "sqlite"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    async def fetch(self, statement: Statement, *values: Value) -> Sequence[Row]:
        return cast(Sequence[Row], self._run(statement, values).fetchall())

    async def fetch_one(self, statement: Statement, *values: Value) -> Row | None:
        cursor = self._run(statement, values)
        row = cursor.fetchone()
        if row is not None:
            # An unfinished cursor would keep the statement open and, on the reader, its snapshot with it.
            cursor.close()
        return cast(Row | None, row)

    async def execute(self, statement: Statement, *values: Value) -> int:
        return self._run(statement, values).rowcount

    def _run(self, statement: Statement, values: tuple[Value, ...]) -> sqlite3.Cursor:
        order = statement.sqlite_order
        if order is not None:
            values = tuple([values[index] for index in order])
        return self.raw.execute(statement.sqlite, values)


class _WritingConnection(SqliteConnection):
    """Refuses to work outside a transaction, where each statement would be committed by itself.

    A full disk may end the transaction under a unit; one that goes on regardless must not leave half its work behind.
    """

    def _run(self, statement: Statement, values: tuple[Value, ...]) -> sqlite3.Cursor:
        if not self.raw.in_transaction:
            raise sqlite3.OperationalError("the transaction has ended")
        return super()._run(statement, values)


@dataclass(slots=True)
class _Pending(Generic[Result]):
    unit: Unit[Result]
    future: asyncio.Future[Result]


class SqliteStore:
    """The store on one SQLite file, used by one control plane process.

    Promises: a unit that returned is on disk (`synchronous="full"`: also after a power cut; `"normal"`: after any crash
    of the process). A full disk or a locked file is `Unavailable`, and the store works again as soon as the cause is gone.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        synchronous: str = "full",
        highest_pending_units: int = HIGHEST_PENDING_UNITS,
    ) -> None:
        self.bells = Bells()
        self._highest_pending_units = highest_pending_units
        self._path = path
        self._clock = clock
        self._synchronous = synchronous
        self._pending: deque[_Pending[Any]] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._writer: SqliteConnection | None = None
        self._reader: SqliteConnection | None = None
        # Units that read run one after another and ring nothing, so that they can share one.
        self._reading: Transaction | None = None
        self._task: asyncio.Task[None] | None = None
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self._scanners = ThreadPoolExecutor(2, thread_name_prefix="sqlite-scan")
        self._scanner_connections = local()
        self._scanner_raw: list[sqlite3.Connection] = []

    async def open(self) -> None:
        """Open the file (already migrated) and start the writer. `Unavailable` when it cannot be opened."""
        try:
            self._writer = _WritingConnection(self._connect(read_only=False))
            self._reader = SqliteConnection(self._connect(read_only=True))
            self._reading = Transaction(self._reader)
        except sqlite3.Error as error:
            await self.close()
            raise _unavailable(error) from error
        self._task = asyncio.create_task(self._write_groups(), name="sqlite-writer")

    async def close(self) -> None:
        """Finish the units already handed in, refuse further ones, then close. Repeatable."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        # In this order: whoever asks from now on is told that the store is closed.
        reader, self._reader, self._reading = self._reader, None, None
        writer, self._writer = self._writer, None
        await asyncio.to_thread(self._scanners.shutdown)
        self._committer.shutdown()
        for raw in self._scanner_raw:
            raw.close()
        self._scanner_raw.clear()
        for connection in (reader, writer):
            if connection is not None:
                connection.raw.close()

    async def write(self, unit: Unit[Result]) -> Result:
        """Run `unit` in a write transaction and return its result once it is committed.

        Units run one after another, in the order handed in. Raises what the unit raised (its changes are undone), or
        `Unavailable` when the database cannot take them now.
        """
        if self._task is None or self._closing:
            raise StoreClosed("the store is not open")
        if len(self._pending) >= self._highest_pending_units:
            raise Unavailable("the database cannot keep up with this many changes; try again shortly")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(unit, future))
        self._arrived.set()
        return await future

    async def write_single(self, unit: Unit[Result]) -> Result:
        """`write`: here every unit shares a commit with its neighbours."""
        return await self.write(unit)

    async def read(self, unit: Unit[Result]) -> Result:
        """Run a short reading unit at once, on the event loop's thread. For look-ups by key."""
        if self._reading is None:
            raise StoreClosed("the store is not open")
        try:
            return _drive(unit(self._reading))
        except sqlite3.DatabaseError as error:
            raise _reading_failed(error) from error

    async def read_single(self, unit: Unit[Result]) -> Result:
        """`read`: here a round trip costs nothing that could be shared."""
        return await self.read(unit)

    async def scan(self, unit: Unit[Result]) -> Result:
        """Run a reading unit that may take milliseconds (lists, counts), on a thread and one snapshot."""
        if self._reader is None:
            raise StoreClosed("the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._scanners, self._scan, unit)

    def _scan(self, unit: Unit[Result]) -> Result:
        connection: SqliteConnection | None = getattr(self._scanner_connections, "connection", None)
        try:
            if connection is None:
                connection = SqliteConnection(self._connect(read_only=True))
                self._scanner_connections.connection = connection
                self._scanner_raw.append(connection.raw)
            connection.raw.execute("BEGIN")
            try:
                return _drive(unit(Transaction(connection)))
            finally:
                _roll_back(connection.raw)
        except sqlite3.DatabaseError as error:
            raise _reading_failed(error) from error

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        raw = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        raw.row_factory = sqlite3.Row
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        raw.execute("PRAGMA temp_store = MEMORY")
        if read_only:
            raw.execute("PRAGMA query_only = ON")
        else:
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute(f"PRAGMA synchronous = {'FULL' if self._synchronous == 'full' else 'NORMAL'}")
        return raw

    async def _write_groups(self) -> None:
        while self._pending or not self._closing:
            await self._arrived.wait()
            if self._pending:
                await self._write_group()
            if not self._pending and not self._closing:
                self._arrived.clear()

    async def _write_group(self) -> None:
        assert self._writer is not None
        raw = self._writer.raw
        try:
            await self._begin(raw)
        except sqlite3.Error as error:
            # Whoever comes later would wait for the same lock as long again.
            for pending in self._pending:
                _fail(pending.future, _unavailable(error))
            self._pending.clear()
            return
        group: list[_Pending[Any]] = []
        try:
            outcomes, rings = self._run_group(group)
            await asyncio.get_running_loop().run_in_executor(self._committer, _commit, raw)
        except Exception as error:
            _roll_back(raw)
            if not isinstance(error, sqlite3.Error):
                _log.exception("a unit of work ended the transaction of its whole group")
            for pending in group:
                _fail(pending.future, _unavailable(error))
            return
        for pending, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, _Failure):
                _fail(pending.future, outcome.error)
            elif not pending.future.done():
                pending.future.set_result(outcome)
        for topic, key in rings:
            self.bells.ring(topic, key)

    async def _begin(self, raw: sqlite3.Connection) -> None:
        deadline = self._clock.monotonic() + BUSY_SECONDS
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                # The lock is taken by polling so that the event loop is never blocked inside SQLite's own waiting.
                if _primary_code(error) != sqlite3.SQLITE_BUSY or self._clock.monotonic() > deadline:
                    raise
                await asyncio.sleep(BUSY_RETRY_SECONDS)

    def _run_group(self, group: list[_Pending[Any]]) -> tuple[list[Any], list[tuple[str, str | None]]]:
        """Run units that wait, as many as one commit takes; whose they were is in `group`, however it ends."""
        assert self._writer is not None
        raw = self._writer.raw
        outcomes: list[Any] = []
        rings: list[tuple[str, str | None]] = []
        # One for all of them: they run one after another, and it keeps nothing but the bells that a unit wants rung.
        transaction = Transaction(self._writer)
        deadline = self._clock.monotonic() + SECONDS_PER_COMMIT
        while self._pending and len(group) < UNITS_PER_COMMIT:
            if group and self._clock.monotonic() > deadline:
                break
            pending = self._pending.popleft()
            group.append(pending)
            if pending.future.cancelled():
                outcomes.append(None)  # Nobody waits for it any more, and it has not begun.
                continue
            transaction.rings = []
            raw.execute("SAVEPOINT unit")
            try:
                outcome = _drive(pending.unit(transaction))
            except Exception as error:
                if not raw.in_transaction:
                    raise  # A full disk may end the whole transaction: then the whole group failed.
                raw.execute("ROLLBACK TO unit")
                outcomes.append(_Failure(_unavailable(error) if _is_outage(error) else error))
            else:
                outcomes.append(outcome)
                rings.extend(transaction.rings)
            # After a transaction that ended unnoticed this fails, and with it the group, as it must.
            raw.execute("RELEASE unit")
        return outcomes, rings


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


def _drive(awaitable: Awaitable[Result]) -> Result:
    """Run a unit to its end without an event loop; it may await nothing but its transaction."""
    coroutine = cast(Coroutine[Any, Any, Result], awaitable)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast(Result, stop.value)
    coroutine.close()
    raise UnitSuspended("a unit of work awaited something other than its transaction")


def _commit(raw: sqlite3.Connection) -> None:
    raw.execute("COMMIT")


def _roll_back(raw: sqlite3.Connection) -> None:
    # An error of the disk may have ended the transaction already, and may keep us from ending it; the next BEGIN tells.
    if raw.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            raw.execute("ROLLBACK")


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _primary_code(error: BaseException) -> int:
    """The result code without its extension; 0 when SQLite gave none (an error of Python's module)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and _primary_code(error) in _OUTAGES


def _reading_failed(error: sqlite3.DatabaseError) -> Exception:
    """What a reader gets: `Unavailable` for an outage; the error itself when the unit was wrong, say by writing."""
    if _is_outage(error) and _primary_code(error) != sqlite3.SQLITE_READONLY:
        return _unavailable(error)
    return error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the database cannot be used now ({error}); nothing was changed, try again shortly")
