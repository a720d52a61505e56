"""SQL statements written once for both databases."""

import re
from typing import Final

_PARAMETER = re.compile(r"\$(\d+)")


class Statement:
    """One SQL statement with PostgreSQL's `$1` parameters, made ready for SQLite as well.

    Written as a module constant, so the translation happens once, at import. Where the two dialects differ, `sqlite`
    holds SQLite's own text (with `$1` parameters too).
    """

    __slots__ = ("postgres", "sqlite", "sqlite_order")

    def __init__(self, text: str, *, sqlite: str | None = None) -> None:
        self.postgres: Final = text
        source = text if sqlite is None else sqlite
        order = [int(number) - 1 for number in _PARAMETER.findall(source)]
        self.sqlite: Final = _PARAMETER.sub("?", source)
        # None when the parameters stand in their natural order: then no reordering is needed at run time.
        self.sqlite_order: Final = None if order == list(range(len(order))) else tuple(order)
