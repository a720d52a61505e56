"""Single statements of many callers, in one round trip and one commit.

A commit waits for the disk, and every round trip costs the event loop several times what the statement itself does. So
what arrives while others are under way waits for them, and then goes together. Each statement sees what those before it
did, as if they were sent one by one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from waymeet.model.errors import Unavailable
from waymeet.store.engine import Row, UnitSuspended, Value
from waymeet.store.statement import Statement

STATEMENTS_PER_COMMIT = 64
HIGHEST_WAITING = 10_000
"""Beyond it callers get `Unavailable` at once instead of waiting ever longer."""

RunMany = Callable[[Statement, Sequence[tuple[Value, ...]]], Awaitable[Sequence[Row]]]
"""Runs a statement once for each tuple of values, all or nothing, and returns their rows. `Unavailable` when the database
is gone; other errors mean that one of them was refused."""


class _Misaligned(RuntimeError):
    """A statement without exactly one row: nobody can tell whose rows these are."""


@dataclass(slots=True)
class _Waiting:
    statement: Statement
    values: tuple[Value, ...]
    row: asyncio.Future[Row]
    alone: bool = False
    """Whether it goes by itself: its group was refused, and whose mistake that was is yet to be seen."""


class SharedConnection:
    """An `engine.Connection` that is nobody's own: for statements that are a transaction by themselves.

    They must return exactly one row each, and wait for no lock that another such statement may hold: those who share a
    commit hold their locks until it.
    """

    dialect = "postgres"

    def __init__(self, run_many: RunMany) -> None:
        self._run_many = run_many
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def fetch_one(self, statement: Statement, *values: Value) -> Row | None:
        if len(self._waiting) >= HIGHEST_WAITING:
            raise Unavailable("the database cannot keep up with this many changes; try again shortly")
        row: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(statement, values, row))
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="postgres-shared")
        return await row

    async def fetch(self, statement: Statement, *values: Value) -> Sequence[Row]:
        raise UnitSuspended("only statements with exactly one row can share a commit; use `write`")

    async def execute(self, statement: Statement, *values: Value) -> int:
        raise UnitSuspended("only statements with exactly one row can share a commit; use `write`")

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._run(self._next_group())
        finally:
            self._task = None

    def _next_group(self) -> list[_Waiting]:
        """Those at the head of the line that make the same statement and still have somebody waiting for them."""
        group: list[_Waiting] = []
        while self._waiting and len(group) < STATEMENTS_PER_COMMIT:
            first = self._waiting[0]
            if first.row.done():
                self._waiting.popleft()
            elif not group or _may_share(group[0], first):
                group.append(self._waiting.popleft())
            else:
                break
        return group

    async def _run(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        try:
            rows = await self._run_many(group[0].statement, [waiting.values for waiting in group])
            if len(rows) != len(group):
                raise _Misaligned(f"{len(group)} runs gave {len(rows)} rows: {group[0].statement.postgres}")
        except Unavailable as error:
            _fail(group, error)
            # Whoever waits behind this group would wait as long again. Theirs has not been sent, so nothing is in doubt.
            _fail(self._waiting, Unavailable("the database cannot be used now; nothing was changed, try again shortly"))
            self._waiting.clear()
        except Exception as error:
            if len(group) == 1 or isinstance(error, _Misaligned):
                _fail(group, error)
                return
            # One of them was refused and undid the others. They go again at once, each alone, but in the line like all
            # others: should the database be gone by then, none of them waits for it by itself.
            for waiting in group:
                waiting.alone = True
            self._waiting.extendleft(reversed(group))
        except BaseException as error:
            _fail((*group, *self._waiting), Unavailable(f"the work was interrupted: {type(error).__name__}"))
            self._waiting.clear()
            raise
        else:
            for waiting, row in zip(group, rows, strict=True):
                if not waiting.row.done():
                    waiting.row.set_result(row)


def _may_share(one: _Waiting, other: _Waiting) -> bool:
    return one.statement is other.statement and not (one.alone or other.alone)


def _fail(group: Iterable[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.row.done():
            waiting.row.set_exception(error)
