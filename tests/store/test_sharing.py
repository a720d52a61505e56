"""Statements that share a commit: together where they can be, and each with its own outcome."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.stores import Store
from waymeet.model.errors import Unavailable
from waymeet.store import sharing
from waymeet.store.engine import Row, Value
from waymeet.store.sharing import SharedConnection
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

ONE, OTHER = Statement("SELECT $1"), Statement("SELECT $1 + 1")


class FakeDatabase:
    """Answers each statement with its own values, once `gate` is open."""

    def __init__(self) -> None:
        self.groups: list[tuple[Statement, list[Value]]] = []
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.outage = False
        self.outage_after: int | None = None
        """After so many groups the database is gone."""
        self.on_refusal: Callable[[], object] = bool

    async def run_many(self, statement: Statement, values: Sequence[tuple[Value, ...]]) -> Sequence[Row]:
        self.groups.append((statement, [value[0] for value in values]))
        self.entered.set()
        await self.gate.wait()
        if self.outage or (self.outage_after is not None and len(self.groups) > self.outage_after):
            raise Unavailable("gone")
        if any(value[0] == "refused" for value in values):
            self.on_refusal()
            raise ValueError("refused")
        if any(value[0] == "interrupted" for value in values):
            raise asyncio.CancelledError
        rows: list[Any] = [value for value in values if value[0] != "without a row"]
        return rows

    async def busy(self) -> tuple[SharedConnection, "asyncio.Task[Row | None]"]:
        """A connection on which a first statement is under way."""
        shared = SharedConnection(self.run_many)
        first = asyncio.create_task(shared.fetch_one(ONE, "first"))
        await self.entered.wait()
        return shared, first


def all_at_once(shared: SharedConnection, *values: Value, statement: Statement = ONE) -> list["asyncio.Task[Any]"]:
    return [asyncio.create_task(shared.fetch_one(statement, value)) for value in values]


async def settle() -> None:
    """Let tasks that were just made hand in their statements."""
    await asyncio.sleep(0)


async def test_what_arrives_meanwhile_goes_together_and_each_gets_its_own_row() -> None:
    database = FakeDatabase()
    shared, first = await database.busy()
    others = all_at_once(shared, "a", "b", "c")
    await settle()
    database.gate.set()
    assert [await task for task in (first, *others)] == [("first",), ("a",), ("b",), ("c",)]
    assert database.groups == [(ONE, ["first"]), (ONE, ["a", "b", "c"])]


async def test_one_that_is_refused_hurts_nobody_else() -> None:
    database = FakeDatabase()
    shared, _first = await database.busy()
    others = all_at_once(shared, "a", "refused", "c")
    await settle()
    database.gate.set()
    outcomes = await asyncio.gather(*others, return_exceptions=True)
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [("a",), ValueError, ("c",)]


async def test_those_whose_group_was_refused_do_not_each_wait_for_a_database_that_is_gone() -> None:
    database = FakeDatabase()
    shared, _first = await database.busy()
    others = all_at_once(shared, "a", "refused", "c", "d")
    await settle()
    database.outage_after = 3  # The first one, the group that is refused, and "a" alone.
    database.gate.set()
    outcomes = await asyncio.gather(*others, return_exceptions=True)
    assert [outcomes[0], *map(type, outcomes[1:])] == [("a",), Unavailable, Unavailable, Unavailable]
    assert [values for _, values in database.groups[1:]] == [["a", "refused", "c", "d"], ["a"], ["refused"]]


async def test_who_leaves_while_his_group_is_refused_is_left_out() -> None:
    database = FakeDatabase()
    shared, _first = await database.busy()
    refused, gone, stays = all_at_once(shared, "refused", "gone", "stays")
    database.on_refusal = gone.cancel
    await settle()
    database.gate.set()
    outcomes = await asyncio.gather(refused, gone, stays, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, asyncio.CancelledError, tuple]
    assert ["gone"] not in [values for _, values in database.groups]


async def test_interrupted_work_is_told_to_those_whose_group_was_refused() -> None:
    database = FakeDatabase()
    shared, first = await database.busy()
    others = all_at_once(shared, "a", "interrupted", "refused")
    await settle()
    database.gate.set()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [outcomes[0], outcomes[1], *map(type, outcomes[2:])] == [("first",), ("a",), Unavailable, Unavailable]
    assert await shared.fetch_one(ONE, "later") == ("later",)


async def test_only_what_was_sent_is_in_doubt_after_an_outage() -> None:
    database = FakeDatabase()
    shared, first = await database.busy()
    (waiting,) = all_at_once(shared, "a")
    await settle()
    database.outage = True
    database.gate.set()
    outcomes = await asyncio.gather(first, waiting, return_exceptions=True)
    assert str(outcomes[0]) == "gone"
    assert "nothing was changed" in str(outcomes[1])


async def test_an_outage_is_told_to_everybody_in_line_and_the_next_one_is_served() -> None:
    database = FakeDatabase()
    shared, first = await database.busy()
    others = all_at_once(shared, "a", "b")
    await settle()
    database.outage = True
    database.gate.set()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert len(database.groups) == 1
    database.outage = False
    assert await shared.fetch_one(ONE, "later") == ("later",)


async def test_a_statement_without_a_row_is_told_to_its_group_and_run_once() -> None:
    database = FakeDatabase()
    shared, first = await database.busy()
    others = all_at_once(shared, "a", "without a row")
    await settle()
    database.gate.set()
    assert await first == ("first",)
    outcomes = await asyncio.gather(*others, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["2 runs gave 1 rows: SELECT $1"] * 2
    assert len(database.groups) == 2
    assert await shared.fetch_one(ONE, "later") == ("later",)


async def test_different_statements_keep_their_order() -> None:
    database = FakeDatabase()
    shared, _first = await database.busy()
    tasks = [*all_at_once(shared, "a"), *all_at_once(shared, "b", statement=OTHER), *all_at_once(shared, "c")]
    await settle()
    database.gate.set()
    await asyncio.gather(*tasks)
    assert database.groups[1:] == [(ONE, ["a"]), (OTHER, ["b"]), (ONE, ["c"])]


async def test_a_caller_that_has_gone_before_its_turn_is_left_out() -> None:
    database = FakeDatabase()
    shared, _first = await database.busy()
    gone, stays = all_at_once(shared, "gone", "stays")
    await settle()
    gone.cancel()
    await settle()
    database.gate.set()
    assert await stays == ("stays",)
    assert database.groups[1:] == [(ONE, ["stays"])]


async def test_the_line_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "HIGHEST_WAITING", 2)
    database = FakeDatabase()
    shared, _first = await database.busy()
    others = all_at_once(shared, "a", "b")
    await settle()
    with pytest.raises(Unavailable, match="keep up"):
        await shared.fetch_one(ONE, "one too many")
    database.gate.set()
    assert len(await asyncio.gather(*others)) == 2


_ADD = Statement(
    "INSERT INTO organisation (id, name, webhook_secret, created_at) VALUES ($1, $1, '', 1) RETURNING id",
)
_COUNT = Statement("SELECT COUNT(*) FROM organisation")


async def add(store: Store, name: str | None) -> str:
    async def unit(tx: Transaction) -> str:
        row = await tx.connection.fetch_one(_ADD, name)
        assert row is not None
        return str(row[0])

    return await store.write_single(unit)


async def test_single_statements_on_a_database(store: Store) -> None:
    names: list[str | None] = [f"n{number}" for number in range(150)]
    names[70] = None  # Not allowed: refused by the database.
    outcomes = await asyncio.gather(*(add(store, name) for name in names), return_exceptions=True)
    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == [name for name in names if name]
    assert isinstance(outcomes[70], Exception)

    async def count(tx: Transaction) -> int:
        row = await tx.connection.fetch_one(_COUNT)
        return 0 if row is None else int(row[0])

    assert await store.read(count) == 149


async def test_single_statements_handed_in_before_close_are_finished(store: Store) -> None:
    under_way = [asyncio.ensure_future(add(store, f"n{number}")) for number in range(150)]
    await settle()
    await store.close()
    assert await asyncio.gather(*under_way) == [f"n{number}" for number in range(150)]


async def test_statements_of_another_form_are_refused() -> None:
    shared = SharedConnection(FakeDatabase().run_many)
    for other in (shared.execute, shared.fetch):
        with pytest.raises(RuntimeError, match="use `write`"):
            await other(ONE, "a")
