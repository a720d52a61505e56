"""Locations on the wire (contract 3.7)."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct, structs

from waymeet.applications.service import ApplicationService
from waymeet.applications.types import Version
from waymeet.deployments.candidates import can_start
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.errors import invalid_input
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.http.v1.objects import LocationBody, Name, location_body
from waymeet.locations.directory import Directory
from waymeet.locations.types import Node
from waymeet.model.errors import NotFound
from waymeet.model.ids import OrganisationId
from waymeet.model.location import Location
from waymeet.model.node_messages import Role
from waymeet.model.paging import HIGHEST_LIMIT, Page, PageRequest

_TYPE = "standard"
"""All locations are of this type."""


class LocationTag(Struct, frozen=True):
    key: str
    value: str


class LocationEntry(LocationBody, frozen=True):
    type: str
    tags: list[LocationTag]


class LocationList(Struct, frozen=True):
    locations: list[LocationEntry]
    messages: list[str]
    total_count: int
    pagination: Pagination


class LocationQuery(Struct, frozen=True):
    app: Annotated[Name, Meta(description="Only where one more server of this application can start.")] | None = None
    version: Annotated[Name, Meta(description="Of `app`; without it its newest active version.")] | None = None
    type: str | None = None
    tags: Annotated[str, Meta(description="`true`: with the locations' tags.")] | None = None
    page: Annotated[int, Meta(ge=1, description="Without `page` and `limit` all is on one page.")] | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None


class LocationEndpoints:
    """Where deployments can run."""

    def __init__(self, directory: Directory, applications: ApplicationService) -> None:
        self._directory = directory
        self._applications = applications

    async def list_locations(self, call: Call[None, LocationQuery]) -> LocationList:
        """Everything on one page unless the caller asks for pages: older clients know none here."""
        query = call.query
        nodes = [node for node in self._directory.nodes if node.connected and Role.SERVER in node.profile.roles]
        messages: list[str] = []
        if query.app:
            version = await self._version(call.caller.organisation, query.app, query.version)
            nodes = [node for node in nodes if can_start(node, version.settings)]
            if not nodes:
                messages.append(f"no location has room for {version.application_name} {version.name} now")
        if query.type not in (None, _TYPE):
            nodes = []
        entries = _entries(nodes, with_tags=(query.tags or "").lower() == "true")
        if query.page is None and query.limit is None:
            request = PageRequest(1, max(1, len(entries)))
        else:
            request = PageQuery(query.page or 1, query.limit or HIGHEST_LIMIT).request()
        chosen = entries[request.offset : request.offset + request.limit]
        return LocationList(chosen, messages, len(entries), pagination(Page(chosen, len(entries), request)))

    async def _version(self, organisation: OrganisationId, application: str, name: str | None) -> Version:
        """`Invalid`, not `NotFound`, for an unknown one: the location list documents no 404 (contract 3.7)."""
        if name is None:
            latest = await self._applications.latest_active_version(organisation, application)
            if latest is None:
                raise invalid_input({"app": f"there is no application '{application}' with an active version"})
            return latest
        try:
            return await self._applications.get_version(organisation, application, name)
        except NotFound as error:
            raise invalid_input({"version": error.message}) from None

    def table(self) -> list[Endpoint[Any, Any]]:
        """The row of the route table."""
        return [
            Endpoint(
                method="GET", path="/v1/locations", handler=self.list_locations, summary="List locations",
                contract="3.7", tag="Locations", query=LocationQuery, answers={200: LocationList},
                trailing_slash=True,
            )
        ]  # fmt: skip


def _entries(nodes: list[Node], *, with_tags: bool) -> list[LocationEntry]:
    """One entry per place, however many nodes stand there; their tags together."""
    tags: dict[Location, dict[str, str]] = {}
    for node in nodes:
        tags.setdefault(node.profile.location, {}).update(node.profile.tags)
    return [
        LocationEntry(**structs.asdict(location_body(location)), type=_TYPE, tags=_tags(own) if with_tags else [])
        for location, own in tags.items()
    ]


def _tags(tags: Mapping[str, str]) -> list[LocationTag]:
    return [LocationTag(key, value) for key, value in sorted(tags.items())]
