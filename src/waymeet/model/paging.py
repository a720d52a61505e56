"""Pages of a list (contract 1.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item", covariant=True)

DEFAULT_LIMIT = 10
HIGHEST_LIMIT = 100


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page, counted from 1, and how many items on each."""

    number: int = 1
    limit: int = DEFAULT_LIMIT

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and how many items all pages hold together."""

    items: Sequence[Item]
    total_count: int
    request: PageRequest

    @property
    def page_count(self) -> int:
        """At least 1, even for an empty list: clients read it unconditionally."""
        return max(1, -(-self.total_count // self.request.limit))

    @property
    def has_next(self) -> bool:
        return self.request.number < self.page_count

    @property
    def has_previous(self) -> bool:
        return self.request.number > 1
