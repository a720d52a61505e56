"""Versions of applications (contract 3.2)."""

from collections.abc import Callable

from waymeet.client.applications.version_types import NewVersion, Version, VersionChange
from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.wire import answer, member, nothing


class Versions(Group[ConnectionT]):
    """`client.versions`: builds of an application and how to run them."""

    @operation
    def create(self, application: str, version: NewVersion) -> Plan[Version]:
        """The new version. `Conflict` when its name is taken, `ImageUnavailable` when `verify_image` finds no image."""
        return self._post(path("v1", "app", application, "version"), member("version", Version), version)

    @operation
    def get(self, application: str, name: str) -> Plan[Version]:
        """The version of this name. `NotFound` when there is none."""
        return self._get(path("v1", "app", application, "version", name), answer(Version))

    @operation
    def update(self, application: str, name: str, change: VersionChange) -> Plan[Version]:
        """The version as it is after the change. Running deployments stay as they are."""
        return self._patch(path("v1", "app", application, "version", name), member("version", Version), change)

    @operation
    def delete(self, application: str, name: str) -> Plan[None]:
        """Delete the version."""
        return self._delete(path("v1", "app", application, "version", name), nothing)

    @operation
    def page(self, application: str, number: int = 1, limit: int = 10) -> Plan[Page[Version]]:
        """One page of an application's versions."""
        return self._page(application, number, limit)

    @listing
    def each(self, application: str, limit: int = 100) -> Callable[[int], Plan[Page[Version]]]:
        """Every version of an application, fetched `limit` at a time."""
        return lambda number: self._page(application, number, limit)

    def _page(self, application: str, number: int, limit: int) -> Plan[Page[Version]]:
        query = {"page": str(number), "limit": str(limit)}
        return self._get(path("v1", "app", application, "versions"), page_of(Version, "versions"), query)
