"""PostgreSQL that goes away and comes back: `Unavailable`, then work as before. And bells between replicas."""

import asyncio
from collections.abc import AsyncIterator
from threading import Thread

import asyncpg
import pytest

from tests.polling import eventually_async
from tests.restartable_postgres import RestartablePostgres
from tests.stores import emptied
from waymeet.accounts.types import Organisation
from waymeet.model.errors import Unavailable
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.store import postgres
from waymeet.store.migrate import ensure_migrated
from waymeet.store.postgres import ATTEMPTS, PostgresStore
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio


async def add(store: PostgresStore, name: str) -> None:
    async def unit(tx: Transaction) -> None:
        tx.wake("topic", name)
        assert await tx.accounts.add_organisation(Organisation(OrganisationId(name), name, Instant(1)), "whsec_x")

    await store.write(unit)


async def exists(store: PostgresStore, name: str) -> bool:
    async def unit(tx: Transaction) -> bool:
        return await tx.accounts.find_organisation(name) is not None

    return await store.read(unit)


@pytest.fixture
async def pair(postgres_database: str, anyio_backend: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Two replicas on one database."""
    url = await emptied(postgres_database)
    first, second = PostgresStore(url, pool_size=4), PostgresStore(url, pool_size=4)
    await first.open()
    await second.open()
    yield first, second
    await first.close()
    await second.close()


async def test_a_bell_reaches_every_replica(pair: tuple[PostgresStore, PostgresStore]) -> None:
    heard: list[list[str | None]] = [[], []]
    numbers = iter(range(1000))
    for store, into in zip(pair, heard, strict=True):
        store.bells.listen("topic", into.append)

    async def rang() -> bool:
        await add(pair[0], f"n{next(numbers)}")
        return all(any(key is not None for key in into) for into in heard)

    await eventually_async(rang)


async def test_two_replicas_that_lock_each_other_out_both_finish(pair: tuple[PostgresStore, PostgresStore]) -> None:
    for name in ("a", "b"):
        await add(pair[0], name)
    touch = Statement("UPDATE organisation SET created_at = created_at + 1 WHERE id = $1")

    async def change(store: PostgresStore, *order: str) -> None:
        async def unit(tx: Transaction) -> None:
            for name in order:
                await tx.connection.execute(touch, name)

        await store.write(unit)

    await asyncio.gather(*(change(pair[n % 2], *("ab" if n % 2 else "ba")) for n in range(4)))

    async def read(tx: Transaction) -> Organisation | None:
        return await tx.accounts.find_organisation("a")

    found = await pair[0].read(read)
    assert found is not None
    assert found.created_at == 5


async def test_a_unit_that_met_a_concurrent_row_runs_again_and_sees_it(
    pair: tuple[PostgresStore, PostgresStore],
) -> None:
    insert = Statement("INSERT INTO organisation (id, name, webhook_secret, created_at) VALUES ($1, 'same', '', 1)")
    runs = 0

    async def unit(tx: Transaction) -> bool:
        nonlocal runs
        runs += 1
        if await tx.accounts.find_organisation("same"):
            return False
        if runs == 1:
            await add(pair[1], "same")
        await tx.connection.execute(insert, "mine")
        return True

    assert await pair[0].write(unit) is False
    assert runs == 2


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_what_others_commit_is_seen_whatever_isolation_the_database_is_set_to(
    postgres_database: str, isolation: str, anyio_backend: str
) -> None:
    url = await emptied(postgres_database)
    raw = await asyncpg.connect(url)
    name = await raw.fetchval("SELECT quote_ident(current_database())")
    await raw.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")
    try:
        store = PostgresStore(url, pool_size=4)
        await store.open()
        seen: list[bool] = []

        async def unit(tx: Transaction) -> None:
            seen.append(await tx.accounts.find_organisation("a") is not None)
            if not seen[-1]:
                await add(store, "a")
                seen.append(await tx.accounts.find_organisation("a") is not None)

        await store.write(unit)
        assert seen == [False, True]
        await store.close()
    finally:
        await raw.execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")
        await raw.close()


async def test_who_freezes_in_a_transaction_loses_it_and_its_locks(
    postgres_database: str, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await emptied(postgres_database)
    monkeypatch.setattr(postgres, "IDLE_SECONDS", 0.5)
    store = PostgresStore(url, pool_size=1)
    await store.open()
    await add(store, "a")

    async def touch_from_elsewhere() -> None:
        raw = await asyncpg.connect(url)
        await raw.execute("UPDATE organisation SET created_at = created_at + 1 WHERE id = 'a'")
        await raw.close()

    async def touch_and_freeze(tx: Transaction) -> None:
        touch = Statement("UPDATE organisation SET created_at = created_at + $1 WHERE id = 'a'")
        await tx.connection.execute(touch, 100)
        # Nothing of this event loop runs before somebody else has changed the row that we have locked.
        other = Thread(target=asyncio.run, args=(touch_from_elsewhere(),))
        other.start()
        other.join()
        await tx.connection.execute(touch, 100)

    with pytest.raises(Unavailable, match="nothing was changed"):
        await store.write(touch_and_freeze)

    async def read(tx: Transaction) -> Organisation | None:
        return await tx.accounts.find_organisation("a")

    found = await store.read(read)
    assert found is not None
    assert found.created_at == 2
    await store.close()


async def test_a_unit_that_is_simply_wrong_says_so(pair: tuple[PostgresStore, PostgresStore]) -> None:
    insert = Statement("INSERT INTO organisation (id, name, webhook_secret, created_at) VALUES ($1, $1, '', 1)")
    runs = 0

    async def twice(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.connection.execute(insert, "a")
        await tx.connection.execute(insert, "a")

    with pytest.raises(asyncpg.UniqueViolationError):
        await pair[0].write(twice)
    assert runs == ATTEMPTS

    async def too_large(tx: Transaction) -> None:
        await tx.webhooks.purge(Instant(2**70), 1)

    # A caller told to try again would try for ever.
    with pytest.raises(asyncpg.DataError, match="out of"):
        await pair[0].write(too_large)


async def test_a_caller_cancelled_in_the_middle_leaves_a_usable_connection(postgres_database: str) -> None:
    store = PostgresStore(await emptied(postgres_database), pool_size=1)
    await store.open()
    inside = asyncio.Event()

    async def unit(tx: Transaction) -> None:
        await tx.accounts.add_organisation(Organisation(OrganisationId("a"), "a", Instant(1)), "whsec_x")
        inside.set()
        await tx.connection.fetch(Statement("SELECT pg_sleep(30)"))

    task = asyncio.ensure_future(store.write(unit))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await exists(store, "a")
    await add(store, "a")
    await store.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_database_that_stops_and_starts_again(
    restartable_postgres: RestartablePostgres, mode: str, anyio_backend: str
) -> None:
    cluster = restartable_postgres
    ensure_migrated(cluster.url)
    store = PostgresStore(cluster.url, pool_size=4)
    await store.open()
    await asyncio.gather(*(add(store, f"before-{number}") for number in range(8)))
    inside = asyncio.Event()

    async def caught_in_the_middle(tx: Transaction) -> None:
        await tx.accounts.add_organisation(Organisation(OrganisationId("half"), "half", Instant(1)), "whsec_x")
        inside.set()
        await tx.connection.fetch(Statement("SELECT pg_sleep(60)"))

    caught = asyncio.ensure_future(store.write(caught_in_the_middle))
    await inside.wait()
    await asyncio.to_thread(cluster.stop, mode)
    with pytest.raises(Unavailable):
        await caught
    for _ in range(5):
        with pytest.raises(Unavailable):
            await add(store, "during")
        with pytest.raises(Unavailable):
            await exists(store, "before-0")
    await asyncio.to_thread(cluster.start)

    # The very same store works again, and hears what happens.
    heard: list[str | None] = []
    store.bells.listen("topic", heard.append)
    numbers = iter(range(10_000))

    async def rang() -> bool:
        await add(store, f"after-{next(numbers)}")
        return any(key is not None for key in heard)

    await eventually_async(rang)
    # Whoever listens was told that it may have missed something.
    assert None in heard
    assert await exists(store, "before-7")
    assert not await exists(store, "half")
    assert not await exists(store, "during")
    await store.close()


async def test_connections_that_are_killed_are_made_anew(postgres_database: str) -> None:
    store = PostgresStore(await emptied(postgres_database), pool_size=4)
    await store.open()
    await asyncio.gather(*(add(store, f"before-{number}") for number in range(8)))
    raw = await asyncpg.connect(postgres_database)
    await raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await raw.close()

    async def works() -> bool:
        try:
            return await exists(store, "before-0")
        except Unavailable:
            return False

    await eventually_async(works)
    await store.close()


async def test_a_database_that_is_not_there_at_the_start_is_unavailable(anyio_backend: str) -> None:
    store = PostgresStore("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Unavailable):
        await store.open()
    await store.close()
