"""PostgreSQL through asyncpg: a pool of connections, and one that listens for bells."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import asyncpg

from waymeet.model.errors import Unavailable
from waymeet.store.bells import Bells
from waymeet.store.connections import Connections
from waymeet.store.engine import Row, StoreClosed, Value
from waymeet.store.sharing import SharedConnection
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

Result = TypeVar("Result")
Unit = Callable[[Transaction], Awaitable[Result]]

CHANNEL = "waymeet"
ACQUIRE_SECONDS = 5.0
COMMAND_SECONDS = 15.0
CLOSE_SECONDS = 5.0
IDLE_SECONDS = 15.0
"""How long a transaction may wait for its next statement. One of a process that is frozen or cut off would otherwise keep
its rows locked for hours, and with them every other process that needs one of them."""
ATTEMPTS = 5
"""Runs of one unit that meets deadlocks and the like."""
RETRY_SECONDS = 0.005
"""Half the pause after the first of them; it doubles with each."""
LISTEN_RETRY_SECONDS = 1.0
LISTEN_CHECK_SECONDS = 15.0
"""How often the listening connection is tried: a network that drops packets tells nobody that it is gone."""

_log = logging.getLogger(__name__)

# What "the database is gone, full or shutting down" looks like through asyncpg.
_OUTAGES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # A connection that the server has ended, asked before asyncpg has taken notice: "another operation is in progress".
    asyncpg.InternalClientError,
)
# A unit may run more than once, and these ask for it. A violated unique index is among them because a unit that met a row
# of a concurrent transaction there sees it when it runs again, and then answers properly.
_RETRIED = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.UniqueViolationError,
)


class PostgresConnection:
    """`engine.Connection` over asyncpg."""

    dialect = "postgres"

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def fetch(self, statement: Statement, *values: Value) -> Sequence[Row]:
        return cast(Sequence[Row], await self.raw.fetch(statement.postgres, *values))

    async def fetch_one(self, statement: Statement, *values: Value) -> Row | None:
        return cast(Row | None, await self.raw.fetchrow(statement.postgres, *values))

    async def execute(self, statement: Statement, *values: Value) -> int:
        # The command tag ends with the number of rows: "UPDATE 1", "INSERT 0 1".
        tag: str = await self.raw.execute(statement.postgres, *values)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


class PostgresStore:
    """The store on a PostgreSQL database; any number of control plane processes may share it.

    A database that is gone, full or shutting down is `Unavailable`; connections are made anew when it is back.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.bells = Bells()
        self._url = url
        self._pool_size = pool_size
        self._pool: Connections | None = None
        self._shared_writes: Transaction | None = None
        self._shared_reads: Transaction | None = None
        self._units = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect (the schema is already migrated) and start to listen for bells."""
        pool = Connections(self._connect, self._pool_size, ACQUIRE_SECONDS)
        try:
            pool.give_back(await pool.take())
        except _OUTAGES as error:
            raise _unavailable(error) from error
        self._pool = pool
        self._shared_writes = Transaction(SharedConnection(partial(self._run_many, pool, _in_doubt)))
        self._shared_reads = Transaction(SharedConnection(partial(self._run_many, pool, _unavailable)))
        self._listener = asyncio.create_task(self._listen(), name="postgres-listener")

    async def close(self) -> None:
        """Finish the units already handed in, refuse further ones, then close every connection. Repeatable."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._listener = None
        pool, self._pool = self._pool, None
        self._shared_writes = self._shared_reads = None
        if pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._idle.wait()
                await pool.close()
        except _OUTAGES:
            pool.terminate()

    async def write(self, unit: Unit[Result]) -> Result:
        """Run `unit` in a transaction and return its result once it is committed; see `SqliteStore.write`.

        When the connection breaks during the commit, nobody knows whether it happened; the `Unavailable` says so.
        """
        return await self._repeated(lambda: self._with_connection(lambda raw: self._run(raw, unit)))

    async def write_single(self, unit: Unit[Result]) -> Result:
        """As `write`, for a unit that makes a single statement, with one row, and wakes nobody.

        Those that arrive while others are under way share the next round trip and the next commit.
        """
        return await self._share(self._shared_writes, unit)

    async def read_single(self, unit: Unit[Result]) -> Result:
        """As `read`, for a unit that makes a single statement with one row; those that meet share a round trip."""
        return await self._share(self._shared_reads, unit)

    async def _share(self, shared: Transaction | None, unit: Unit[Result]) -> Result:
        if shared is None:
            raise StoreClosed("the store is not open")
        self._begin_unit()
        try:
            return await self._repeated(lambda: unit(shared))
        finally:
            self._end_unit()

    async def _repeated(self, run: Callable[[], Awaitable[Result]]) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await run()
            except _RETRIED as error:
                if attempt == ATTEMPTS:
                    if isinstance(error, asyncpg.UniqueViolationError):
                        raise  # No race happens five times in a row: the unit itself is wrong.
                    raise Unavailable("too many changes to the same objects at once; try again shortly") from None
            # Whoever won needs a moment to finish; at once, the two would meet again.
            await asyncio.sleep(RETRY_SECONDS * 2**attempt)
        raise AssertionError("unreachable")

    async def read(self, unit: Unit[Result]) -> Result:
        """Run a reading unit; each of its statements sees the latest committed state."""
        return await self._with_connection(lambda raw: unit(Transaction(PostgresConnection(raw))))

    async def scan(self, unit: Unit[Result]) -> Result:
        """Run a reading unit of several statements on one snapshot."""

        async def on_one_snapshot(raw: Any) -> Result:
            async with raw.transaction(isolation="repeatable_read", readonly=True):
                return await unit(Transaction(PostgresConnection(raw)))

        return await self._with_connection(on_one_snapshot)

    async def _run(self, raw: Any, unit: Unit[Result]) -> Result:
        transaction = Transaction(PostgresConnection(raw))
        frame = raw.transaction()
        await frame.start()
        try:
            result = await unit(transaction)
            if transaction.rings:
                await raw.execute(
                    "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload",
                    CHANNEL,
                    sorted({f"{topic}\n{'' if key is None else key}" for topic, key in transaction.rings}),
                )
        except BaseException:
            # A connection that is gone has rolled back already; what went wrong first is the better story.
            with contextlib.suppress(*_OUTAGES):
                await frame.rollback()
            raise
        try:
            await frame.commit()
        except _OUTAGES as error:
            raise _in_doubt(error) from error
        return result

    async def _run_many(
        self,
        pool: Connections,
        told: Callable[[BaseException], Unavailable],
        statement: Statement,
        values: Sequence[tuple[Value, ...]],
    ) -> Sequence[Row]:
        """Run a statement for each of `values`, in one transaction and one round trip; `told` makes the error of an outage
        meanwhile.
        """

        async def many(raw: Any) -> Sequence[Row]:
            try:
                return cast(Sequence[Row], await raw.fetchmany(statement.postgres, values))
            except _OUTAGES as error:
                raw.terminate()
                raise told(error) from error

        return await self._with(pool, many)

    async def _connect(self) -> Any:
        raw = await asyncpg.connect(self._url, timeout=ACQUIRE_SECONDS, command_timeout=COMMAND_SECONDS)
        try:
            # Whatever the database's own default is: units look again at what others have committed while they waited for
            # a lock. Not in the URL's way, since poolers refuse connections that ask for settings they do not know.
            await raw.execute(
                "SET default_transaction_isolation = 'read committed';"
                f" SET idle_in_transaction_session_timeout = {round(IDLE_SECONDS * 1000)}"
            )
        except BaseException:
            raw.terminate()
            raise
        return raw

    async def _with_connection(self, use: Callable[[Any], Awaitable[Result]]) -> Result:
        pool = self._pool
        if pool is None:
            raise StoreClosed("the store is not open")
        return await self._with(pool, use)

    async def _with(self, pool: Connections, use: Callable[[Any], Awaitable[Result]]) -> Result:
        self._begin_unit()
        try:
            raw = await pool.take()
            try:
                result = await use(raw)
            except (asyncio.CancelledError, *_OUTAGES):
                pool.throw_away(raw)
                raise
            except BaseException:
                pool.give_back(raw)
                raise
            pool.give_back(raw)
            return result
        except _OUTAGES as error:
            raise _unavailable(error) from error
        finally:
            self._end_unit()

    def _begin_unit(self) -> None:
        self._units += 1
        self._idle.clear()

    def _end_unit(self) -> None:
        self._units -= 1
        if self._units == 0:
            self._idle.set()

    async def _listen(self) -> None:
        while True:
            raw: Any = None
            try:
                raw = await asyncpg.connect(self._url, timeout=ACQUIRE_SECONDS, command_timeout=ACQUIRE_SECONDS)
                await self._hear(raw)
            except Exception as error:
                # Of whatever kind: a process that no longer listens would be slow for ever, and silently so.
                _log.warning("cannot listen for changes, trying again: %s", _named(error))
            finally:
                if raw is not None and not raw.is_closed():
                    raw.terminate()
            await asyncio.sleep(LISTEN_RETRY_SECONDS)

    async def _hear(self, raw: Any) -> None:
        """Ring our bells as long as the connection lives; raises when it ends."""
        lost = asyncio.Event()
        raw.add_termination_listener(lambda _connection: lost.set())
        await raw.add_listener(CHANNEL, self._heard)
        # Whatever rang while nobody listened here.
        self.bells.ring_everything()
        while True:
            try:
                async with asyncio.timeout(LISTEN_CHECK_SECONDS):
                    await lost.wait()
            except TimeoutError:
                await raw.execute("SELECT 1")
            else:
                raise ConnectionError("the database closed the connection")

    def _heard(self, _connection: Any, _process: int, _channel: str, payload: str) -> None:
        topic, _, key = payload.partition("\n")
        self.bells.ring(topic, key or None)


def _named(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _in_doubt(error: BaseException) -> Unavailable:
    return Unavailable(
        f"the connection to the database broke during the commit ({_named(error)}); the change may have been made or"
        " not: look before you repeat it"
    )


def _unavailable(error: BaseException) -> Unavailable:
    return Unavailable(f"the database cannot be used now ({_named(error)}); nothing was changed, try again shortly")
