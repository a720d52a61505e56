"""Applications on the wire (contract 3.1). The rules live in `waymeet.applications`."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from waymeet.applications.drafts import ApplicationDraft
from waymeet.applications.service import ApplicationService
from waymeet.applications.types import Application
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.http.v1.objects import sent_members
from waymeet.model.instant import v1_timestamp

Image = Annotated[str, Meta(description='A picture in base64; "" for none.')]


class ApplicationChange(Struct, frozen=True, kw_only=True):
    """What shall change; what is not sent stays."""

    name: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    is_telemetry_agent_active: bool | None | UnsetType = UNSET
    image: Image | None | UnsetType = UNSET


class NewApplication(ApplicationChange, frozen=True, kw_only=True):
    """An application to create."""

    name: str
    is_active: bool


class ApplicationBody(Struct, frozen=True):
    name: str
    is_active: bool
    is_telemetry_agent_active: bool
    image: str
    create_time: str
    last_updated: str


class ApplicationList(Struct, frozen=True):
    applications: list[ApplicationBody]
    total_count: int
    pagination: Pagination


class Nothing(Struct, frozen=True):
    """An empty object."""


def application_body(application: Application) -> ApplicationBody:
    return ApplicationBody(
        name=application.name,
        is_active=application.is_active,
        is_telemetry_agent_active=application.is_telemetry_agent_active,
        image=application.image,
        create_time=v1_timestamp(application.created_at),
        last_updated=v1_timestamp(application.updated_at),
    )


class ApplicationEndpoints:
    """The five application calls."""

    def __init__(self, service: ApplicationService) -> None:
        self._service = service

    async def create_application(self, call: Call[NewApplication, None]) -> ApplicationBody:
        draft = ApplicationDraft(**sent_members(call.body))
        return application_body(await self._service.create_application(call.caller.organisation, draft))

    async def read_application(self, call: Call[None, None]) -> ApplicationBody:
        return application_body(await self._service.get_application(call.caller.organisation, call.path["app"]))

    async def update_application(self, call: Call[ApplicationChange, None]) -> ApplicationBody:
        draft = ApplicationDraft(**sent_members(call.body))
        changed = await self._service.update_application(call.caller.organisation, call.path["app"], draft)
        return application_body(changed)

    async def delete_application(self, call: Call[None, None]) -> Nothing:
        await self._service.delete_application(call.caller.organisation, call.path["app"])
        return Nothing()

    async def list_applications(self, call: Call[None, PageQuery]) -> ApplicationList:
        page = await self._service.list_applications(call.caller.organisation, call.query.request())
        entries = [application_body(application) for application in page.items]
        return ApplicationList(entries, page.total_count, pagination(page))

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        one, tag, contract = "/v1/app/{app}", "Applications", "3.1"
        return [
            Endpoint(
                method="POST", path="/v1/app", handler=self.create_application, summary="Create an application",
                contract=contract, tag=tag, body=NewApplication, answers={200: ApplicationBody}, errors=(409,),
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_application, summary="Read an application",
                contract=contract, tag=tag, answers={200: ApplicationBody}, errors=(404,),
            ),
            Endpoint(
                method="PATCH", path=one, handler=self.update_application, summary="Change an application",
                contract=contract, tag=tag, body=ApplicationChange, answers={200: ApplicationBody}, errors=(404, 409),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.delete_application,
                summary="Delete an application and its versions; their deployments run on",
                contract=contract, tag=tag, answers={200: Nothing}, errors=(404,),
            ),
            Endpoint(
                method="GET", path="/v1/apps", handler=self.list_applications, summary="List applications",
                contract=contract, tag=tag, query=PageQuery, answers={200: ApplicationList}, unknown_key=403,
            ),
        ]  # fmt: skip
