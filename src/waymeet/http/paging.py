"""Pages on the wire (contract 1.6)."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from waymeet.model.paging import DEFAULT_LIMIT, HIGHEST_LIMIT, Page, PageRequest

HIGHEST_PAGE = 2**31 - 1
"""Later pages are taken for this one, which is empty too: strict clients hold page numbers in 32 bits."""


class PageQuery(Struct, frozen=True):
    """`page` and `limit` of a list call."""

    page: Annotated[int, Meta(ge=1, description="Which page, counted from 1.")] = 1
    limit: Annotated[
        int, Meta(ge=1, description=f"Items on each page; above {HIGHEST_LIMIT} counts as {HIGHEST_LIMIT}.")
    ] = DEFAULT_LIMIT

    def request(self) -> PageRequest:
        """The page asked for."""
        return PageRequest(min(self.page, HIGHEST_PAGE), min(self.limit, HIGHEST_LIMIT))


class Paginator(Struct, frozen=True):
    num_pages: Annotated[int, Meta(ge=1)]


class Pagination(Struct, frozen=True):
    """The `pagination` member of a list answer."""

    number: int
    next_page_number: int | None
    previous_page_number: int | None
    paginator: Paginator
    has_next: bool
    has_previous: bool


def pagination(page: Page[Any]) -> Pagination:
    """How `page` stands among the others."""
    number = page.request.number
    return Pagination(
        number=number,
        next_page_number=number + 1 if page.has_next else None,
        previous_page_number=number - 1 if page.has_previous else None,
        paginator=Paginator(page.page_count),
        has_next=page.has_next,
        has_previous=page.has_previous,
    )
