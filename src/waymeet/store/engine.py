"""What a unit of work sees of a database, whichever it is."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from waymeet.store.statement import Statement

Value = str | int | float | bool | bytes | None


class Row(Protocol):
    """A result row: by column name or position, or all its values in order (several times faster)."""

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection inside a transaction (or, for reading, outside one)."""

    dialect: str
    """`sqlite` or `postgres`."""

    async def fetch(self, statement: Statement, *values: Value) -> Sequence[Row]:
        """All result rows."""

    async def fetch_one(self, statement: Statement, *values: Value) -> Row | None:
        """The first result row, if there is one."""

    async def execute(self, statement: Statement, *values: Value) -> int:
        """Run it; the number of rows it touched."""


class UnitSuspended(RuntimeError):
    """A unit of work awaited something other than its transaction.

    Units run inside a transaction; waiting there for a socket, a lock or a timer would hold the write lock meanwhile.
    Do that work before or after the unit.
    """


class StoreClosed(RuntimeError):
    """The store was used before `open` or after `close`."""
