"""Applications: a game, under which its versions stand (contract 3.1)."""

from collections.abc import Callable

from msgspec import UNSET, UnsetType

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.wire import Answer, Body, answer, nothing


class Application(Answer, frozen=True, kw_only=True):
    """A game. `image` is its icon as base64, times are UTC as `YYYY-MM-DD HH:MM:SS.ffffff`."""

    name: str
    is_active: bool = True
    is_telemetry_agent_active: bool = False
    image: str = ""
    create_time: str = ""
    last_updated: str = ""


class _NewApplication(Body, frozen=True, kw_only=True):
    name: str
    is_active: bool | UnsetType = UNSET
    image: str | UnsetType = UNSET
    is_telemetry_agent_active: bool | UnsetType = UNSET


class _ApplicationChange(Body, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    image: str | UnsetType = UNSET
    is_telemetry_agent_active: bool | UnsetType = UNSET


class Applications(Group[ConnectionT]):
    """`client.applications`: games, under which their versions stand."""

    @operation
    def create(
        self, name: str, *, is_active: bool = True, image: str = "", is_telemetry_agent_active: bool = False
    ) -> Plan[Application]:
        """The new application. `Conflict` when the name (3 to 64 characters) is taken."""
        return self._post(
            "/v1/app",
            answer(Application),
            _NewApplication(
                name=name, is_active=is_active, image=image, is_telemetry_agent_active=is_telemetry_agent_active
            ),
        )

    @operation
    def get(self, name: str) -> Plan[Application]:
        """The application of this name. `NotFound` when there is none."""
        return self._get(path("v1", "app", name), answer(Application))

    @operation
    def update(
        self,
        name: str,
        *,
        new_name: str | UnsetType = UNSET,
        is_active: bool | UnsetType = UNSET,
        image: str | UnsetType = UNSET,
        is_telemetry_agent_active: bool | UnsetType = UNSET,
    ) -> Plan[Application]:
        """The application with what was given changed and the rest left as it was."""
        change = _ApplicationChange(
            name=new_name, is_active=is_active, image=image, is_telemetry_agent_active=is_telemetry_agent_active
        )
        return self._patch(path("v1", "app", name), answer(Application), change)

    @operation
    def delete(self, name: str) -> Plan[None]:
        """Delete the application and its versions."""
        return self._delete(path("v1", "app", name), nothing)

    @operation
    def page(self, number: int = 1, limit: int = 10) -> Plan[Page[Application]]:
        """One page of applications."""
        return self._page(number, limit)

    @listing
    def each(self, limit: int = 100) -> Callable[[int], Plan[Page[Application]]]:
        """Every application, fetched `limit` at a time."""
        return lambda number: self._page(number, limit)

    def _page(self, number: int, limit: int) -> Plan[Page[Application]]:
        query = {"page": str(number), "limit": str(limit)}
        return self._get("/v1/apps", page_of(Application, "applications"), query)
