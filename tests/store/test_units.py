"""Units of work, on both databases: all or nothing, one after another, heard of when committed."""

import asyncio

import pytest

from tests.polling import GENEROUS_SECONDS, eventually_async
from tests.stores import Store
from waymeet.accounts.types import Organisation
from waymeet.model.errors import NotFound
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.store.engine import StoreClosed
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

_RAISE_CAPACITY = Statement("UPDATE organisation SET created_at = created_at + 1 WHERE id = $1")


def organisation(name: str) -> Organisation:
    return Organisation(OrganisationId(f"id-{name}"), name, Instant(1))


async def add(store: Store, name: str) -> None:
    async def unit(tx: Transaction) -> None:
        assert await tx.accounts.add_organisation(organisation(name), "whsec_x")

    await store.write(unit)


async def names(store: Store, *among: str) -> set[str]:
    async def unit(tx: Transaction) -> set[str]:
        return {name for name in among if await tx.accounts.find_organisation(name)}

    return await store.read(unit)


async def test_what_a_unit_wrote_is_there_when_it_returns(store: Store) -> None:
    await add(store, "a")
    assert await names(store, "a") == {"a"}


async def test_a_unit_that_fails_leaves_nothing_and_raises_what_it_raised(store: Store) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.accounts.add_organisation(organisation("a"), "whsec_x")
        raise NotFound("no such thing")

    with pytest.raises(NotFound, match="no such thing"):
        await store.write(unit)
    assert await names(store, "a") == set()


async def test_units_that_fail_take_none_of_their_neighbours_with_them(store: Store) -> None:
    async def failing(tx: Transaction) -> None:
        await tx.accounts.add_organisation(organisation("bad"), "whsec_x")
        raise NotFound("no such thing")

    tasks = []
    for number in range(150):
        tasks.append(add(store, f"good-{number}"))
        tasks.append(store.write(failing))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[:4]] == [type(None), NotFound, type(None), NotFound]
    assert sum(isinstance(outcome, NotFound) for outcome in outcomes) == 150
    expected = {f"good-{number}" for number in range(150)}
    assert await names(store, *expected, "bad") == expected


async def test_a_violated_constraint_hurts_only_its_own_unit(store: Store) -> None:
    broken = Statement("INSERT INTO organisation (id, name, webhook_secret, created_at) VALUES ($1, NULL, '', 1)")

    async def unit(tx: Transaction) -> None:
        await tx.accounts.add_organisation(organisation("with-it"), "whsec_x")
        await tx.connection.execute(broken, "id")

    outcomes = await asyncio.gather(
        add(store, "before"), store.write(unit), add(store, "after"), return_exceptions=True
    )
    assert [outcome is None for outcome in outcomes] == [True, False, True]
    # A mistake of ours, not an outage that goes away by itself.
    assert type(outcomes[1]).__name__ in {"IntegrityError", "NotNullViolationError"}
    assert await names(store, "before", "after", "with-it") == {"before", "after"}


async def test_concurrent_changes_of_one_row_are_all_kept(store: Store) -> None:
    await add(store, "a")

    async def unit(tx: Transaction) -> None:
        assert await tx.connection.execute(_RAISE_CAPACITY, "id-a") == 1

    await asyncio.gather(*(store.write(unit) for _ in range(200)))

    async def read(tx: Transaction) -> Organisation | None:
        return await tx.accounts.find_organisation("a")

    found = await store.read(read)
    assert found is not None
    assert found.created_at == 201


async def test_a_scan_sees_one_state_of_the_whole_database(store: Store) -> None:
    loop = asyncio.get_running_loop()

    async def unit(tx: Transaction) -> tuple[bool, bool]:
        before = await tx.accounts.find_organisation("late") is not None
        if tx.connection.dialect == "sqlite":
            # Scans run on a thread there, and units never wait; so wait for the writer as a thread may.
            asyncio.run_coroutine_threadsafe(add(store, "late"), loop).result(GENEROUS_SECONDS)
        else:
            await add(store, "late")
        return before, await tx.accounts.find_organisation("late") is not None

    assert await store.scan(unit) == (False, False)
    assert await names(store, "late") == {"late"}


async def test_a_bell_rings_for_a_commit_and_not_for_a_failure(store: Store) -> None:
    heard: list[str | None] = []
    stop = store.bells.listen("topic", heard.append)

    async def ring(tx: Transaction) -> None:
        tx.wake("topic", "committed")

    async def fail(tx: Transaction) -> None:
        tx.wake("topic", "failed")
        raise NotFound("no such thing")

    async def rang() -> bool:
        # PostgreSQL needs a moment until its listener is connected, so ring until it hears.
        with pytest.raises(NotFound):
            await store.write(fail)
        await store.write(ring)
        return "committed" in heard

    await eventually_async(rang)
    assert "failed" not in heard
    stop()
    heard.clear()
    await store.write(ring)
    other = asyncio.Event()
    store.bells.listen("topic", lambda _key: other.set())
    await eventually_async(lambda: _rings(store, ring, other))
    assert heard == []


async def _rings(store: Store, ring: object, heard: asyncio.Event) -> bool:
    await store.write(ring)  # type: ignore[arg-type]
    return heard.is_set()


async def test_a_bell_without_a_key_rings_without_a_key(store: Store) -> None:
    heard: list[str | None] = []
    store.bells.listen("topic", heard.append)

    async def ring(tx: Transaction) -> None:
        tx.wake("topic")
        tx.wake("topic", "key")

    async def rang() -> bool:
        heard.clear()
        await store.write(ring)
        return sorted(heard, key=str) == [None, "key"]

    await eventually_async(rang)


async def test_a_listener_that_fails_keeps_no_other_from_hearing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    heard = asyncio.Event()

    def fail(_key: str | None) -> None:
        raise ValueError("deaf")

    store.bells.listen("topic", fail)
    store.bells.listen("topic", lambda _key: heard.set())
    store.bells.ring("topic", None)
    assert heard.is_set()
    assert "a listener failed" in caplog.text


async def test_units_handed_in_before_close_are_finished_and_later_ones_refused(store: Store) -> None:
    under_way = [asyncio.ensure_future(add(store, f"n{number}")) for number in range(8)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    outcomes = await asyncio.gather(*under_way, return_exceptions=True)
    assert outcomes == [None] * 8
    await closing
    with pytest.raises(StoreClosed):
        await add(store, "late")
    with pytest.raises(StoreClosed):
        await names(store, "n0")
    await store.close()


async def test_a_caller_that_is_cancelled_disturbs_nobody(store: Store) -> None:
    tasks = [asyncio.ensure_future(add(store, f"n{number}")) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1::2] == [None] * 25
    await add(store, "after")
    kept = {f"n{number}" for number in range(1, 50, 2)}
    assert await names(store, "after", *kept) == {"after", *kept}
