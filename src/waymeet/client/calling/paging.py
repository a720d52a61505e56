"""Pages of a list (contract 1.6)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from waymeet.client.calling import wire

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and how many items all pages hold together."""

    items: tuple[Item, ...]
    total_count: int
    number: int = 1
    page_count: int = 1
    next_number: int | None = None
    """The page after this one, `None` on the last."""
    messages: tuple[str, ...] = ()
    """Remarks of the server about the list as a whole, such as a filter that it did not know."""


class _Paginator(wire.Answer, frozen=True, kw_only=True):
    num_pages: int = 1


class _Pagination(wire.Answer, frozen=True, kw_only=True):
    number: int = 1
    next_page_number: int | None = None
    paginator: _Paginator = _Paginator()
    has_next: bool = False


class _Frame(wire.Answer, frozen=True, kw_only=True):
    pagination: _Pagination = _Pagination()
    total_count: int | None = None
    count: int | None = None
    messages: tuple[str, ...] = ()


def page_of(kind: type[Item], key: str) -> Callable[[bytes], Page[Item]]:
    """A reader of lists whose items stand under `key`. A body without paging reads as the only page."""

    def reader(content: bytes) -> Page[Item]:
        body = wire.read(content, dict[str, object])
        items = tuple(wire.convert(item, kind) for item in wire.convert(body.get(key, []), list[object]))
        # The deployment list says `message` where the location list says `messages` (contract 3.6, 3.7).
        frame = wire.convert({**body, "messages": body.get("messages") or body.get("message")}, _Frame)
        total = next((count for count in (frame.total_count, frame.count) if count is not None), len(items))
        paging = frame.pagination
        # Guards a loop over pages against a server that points back: only a later page counts as the next one.
        later = paging.next_page_number is not None and paging.next_page_number > paging.number
        return Page(
            items=items,
            total_count=total,
            number=paging.number,
            page_count=paging.paginator.num_pages,
            next_number=paging.next_page_number if paging.has_next and later else None,
            messages=frame.messages,
        )

    return reader
