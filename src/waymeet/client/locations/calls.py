"""Where deployments can be started (contract 3.7)."""

from collections.abc import Callable

from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Plan
from waymeet.client.locations.types import AvailableLocation


class Locations(Group[ConnectionT]):
    """`client.locations`: where deployments can be started."""

    @operation
    def page(
        self,
        number: int = 1,
        limit: int = 10,
        *,
        application: str | None = None,
        version: str | None = None,
        with_tags: bool = False,
    ) -> Plan[Page[AvailableLocation]]:
        """One page of places; with `application` and `version` only those that have room for it now."""
        return self._page(number, limit, application, version, with_tags)

    @listing
    def each(
        self,
        limit: int = 100,
        *,
        application: str | None = None,
        version: str | None = None,
        with_tags: bool = False,
    ) -> Callable[[int], Plan[Page[AvailableLocation]]]:
        """Every place, fetched `limit` at a time."""
        return lambda number: self._page(number, limit, application, version, with_tags)

    def _page(
        self, number: int, limit: int, application: str | None, version: str | None, with_tags: bool
    ) -> Plan[Page[AvailableLocation]]:
        query = {"page": str(number), "limit": str(limit)}
        if application is not None:
            query["app"] = application
        if version is not None:
            query["version"] = version
        if with_tags:
            query["tags"] = "true"
        return self._get("/v1/locations", page_of(AvailableLocation, "locations"), query)
