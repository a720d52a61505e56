"""Tags of deployments: sessions choose by them (contract 3.6)."""

from collections.abc import Callable

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.wire import Body, answer, nothing
from waymeet.client.deployments.types import Tag


class TagName(Body, frozen=True, kw_only=True):
    """The body of every call that names a tag."""

    name: str


class Tags(Group[ConnectionT]):
    """`client.tags`: words on a deployment that sessions choose by. A change counts for the next placement."""

    @operation
    def add(self, request_id: str, name: str) -> Plan[Tag]:
        """The new tag (1 to 40 characters). `Conflict` when the deployment carries it already."""
        return self._post(_tags(request_id), answer(Tag), TagName(name=name))

    @operation
    def get(self, request_id: str, name: str) -> Plan[Tag]:
        """The tag of this name. `NotFound` when the deployment does not carry it."""
        return self._get(_tags(request_id) + path(name), answer(Tag))

    @operation
    def rename(self, request_id: str, name: str, new_name: str) -> Plan[Tag]:
        """The tag under its new name. `Conflict` when the deployment carries that already."""
        return self._patch(_tags(request_id) + path(name), answer(Tag), TagName(name=new_name))

    @operation
    def remove(self, request_id: str, name: str) -> Plan[None]:
        """Take the tag off. `NotFound` when the deployment does not carry it."""
        return self._delete(_tags(request_id) + path(name), nothing)

    @operation
    def page(self, request_id: str, number: int = 1, limit: int = 10) -> Plan[Page[Tag]]:
        """One page of a deployment's tags."""
        return self._page(request_id, number, limit)

    @listing
    def each(self, request_id: str, limit: int = 100) -> Callable[[int], Plan[Page[Tag]]]:
        """Every tag of a deployment, fetched `limit` at a time."""
        return lambda number: self._page(request_id, number, limit)

    def _page(self, request_id: str, number: int, limit: int) -> Plan[Page[Tag]]:
        query = {"page": str(number), "limit": str(limit)}
        return self._get(_tags(request_id), page_of(Tag, "tags"), query)


def _tags(request_id: str) -> str:
    return path("v1", "deployments", request_id, "tags")
