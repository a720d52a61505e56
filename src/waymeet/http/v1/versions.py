"""Versions of applications on the wire (contract 3.2). The rules live in `waymeet.applications`."""

from typing import Any

from msgspec import Struct

from waymeet.applications.service import ApplicationService
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.http.v1.objects import Success
from waymeet.http.v1.version_bodies import NewVersion, VersionBody, VersionChange, version_body, version_draft


class VersionSaved(Struct, frozen=True):
    success: bool
    version: VersionBody


class VersionList(Struct, frozen=True):
    versions: list[VersionBody]
    total_count: int
    pagination: Pagination


class VersionEndpoints:
    """The five version calls."""

    def __init__(self, service: ApplicationService) -> None:
        self._service = service

    async def create_version(self, call: Call[NewVersion, None]) -> VersionSaved:
        made = await self._service.create_version(call.caller.organisation, call.path["app"], version_draft(call.body))
        return VersionSaved(True, version_body(made))

    async def read_version(self, call: Call[None, None]) -> VersionBody:
        return version_body(
            await self._service.get_version(call.caller.organisation, call.path["app"], call.path["version"])
        )

    async def update_version(self, call: Call[VersionChange, None]) -> VersionSaved:
        changed = await self._service.update_version(
            call.caller.organisation, call.path["app"], call.path["version"], version_draft(call.body)
        )
        return VersionSaved(True, version_body(changed))

    async def delete_version(self, call: Call[None, None]) -> Success:
        name = call.path["version"]
        await self._service.delete_version(call.caller.organisation, call.path["app"], name)
        return Success(True, f"Version {name} was deleted")

    async def list_versions(self, call: Call[None, PageQuery]) -> VersionList:
        page = await self._service.list_versions(call.caller.organisation, call.path["app"], call.query.request())
        return VersionList([version_body(version) for version in page.items], page.total_count, pagination(page))

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        every, tag, contract = "/v1/app/{app}/version", "Versions", "3.2"
        one = f"{every}/{{version}}"
        return [
            Endpoint(
                method="POST", path=every, handler=self.create_version, summary="Create a version",
                contract=contract, tag=tag, body=NewVersion, answers={200: VersionSaved}, errors=(404, 409, 424),
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_version, summary="Read a version",
                contract=contract, tag=tag, answers={200: VersionBody}, errors=(404,),
            ),
            Endpoint(
                method="PATCH", path=one, handler=self.update_version,
                summary="Change a version; its deployments keep what they were started with",
                contract=contract, tag=tag, body=VersionChange, answers={200: VersionSaved}, errors=(404, 409, 424),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.delete_version,
                summary="Delete a version; its deployments run on",
                contract=contract, tag=tag, answers={200: Success}, errors=(404,),
            ),
            Endpoint(
                method="GET", path="/v1/app/{app}/versions", handler=self.list_versions,
                summary="List an application's versions",
                contract=contract, tag=tag, query=PageQuery, answers={200: VersionList}, errors=(404,),
            ),
        ]  # fmt: skip
