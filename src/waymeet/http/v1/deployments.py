"""Deployments on the wire (contract 3.4 to 3.6). The rules live in `waymeet.deployments`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from waymeet.deployments.queries import checked_query
from waymeet.deployments.service import BULK_STOP_FIELDS, DeploymentService
from waymeet.deployments.tags import check_tag
from waymeet.deployments.types import (
    Deployment,
    DeploymentQuery,
    DeploymentRequest,
    DeploymentWebhooks,
    LinkedSession,
    LogStorage,
    StopResult,
)
from waymeet.http.bodies import parse
from waymeet.http.call import Answer, Call
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.errors import invalid_input
from waymeet.http.limits import RateClass
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.http.v1.objects import (
    FilterBody,
    LocationBody,
    Name,
    Place,
    PortBody,
    centre,
    filters,
    location_body,
    place_filters,
    players,
    port_bodies,
)
from waymeet.http.v1.sessions import CheckUrl
from waymeet.model.errors import Invalid
from waymeet.model.instant import Clock, Instant, elapsed_seconds, v1_timestamp
from waymeet.model.states import DeploymentStatus, SessionStatus

HIGHEST_VARIABLES = 200
HIGHEST_TAGS = 50


class VariableBody(Struct, frozen=True):
    key: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^=\x00]+$")]
    value: Annotated[str, Meta(max_length=8192)]
    is_hidden: bool = False


class LogStorageBody(Struct, frozen=True):
    enabled: bool = False
    endpoint_storage: Name | None = None


class Deploy(Place, frozen=True, kw_only=True):
    app_name: Name
    version_name: Name | None = None
    is_public_app: bool = False
    env_vars: Annotated[list[VariableBody], Meta(max_length=HIGHEST_VARIABLES)] | None = None
    skip_telemetry: bool = False
    webhook_url: Annotated[str, Meta(max_length=2048)] | None = None
    tags: Annotated[list[str], Meta(max_length=HIGHEST_TAGS)] | None = None
    container_log_storage: LogStorageBody | None = None
    ap_sort_strategy: Literal["basic", "weighted"] | None = None
    command: Annotated[str, Meta(max_length=4096)] | None = None
    arguments: Annotated[str, Meta(max_length=4096)] | None = None


class DeployAccepted(Struct, frozen=True):
    request_id: str
    request_dns: str
    request_app: str
    request_version: str
    request_user_count: int
    city: str | None
    country: str | None
    continent: str | None
    administrative_division: str | None
    tags: list[str]
    filters: list[FilterBody]
    container_log_storage: LogStorageBody


class LinkedSessionBody(Struct, frozen=True):
    session_id: str
    status: str
    ready: bool
    linked: bool
    kind: str
    user_count: int


class StatusBody(Struct, frozen=True):
    """Has no member `message`: a client would take that for a failure (contract 1.4)."""

    request_id: str
    fqdn: str
    app_name: str
    app_version: str
    current_status: str
    running: bool
    whitelisting_active: bool
    start_time: str
    removal_time: str | None
    elapsed_time: int
    last_status: str | None
    error: bool
    error_detail: str | None
    ports: dict[str, PortBody] | None
    public_ip: str
    sessions: list[LinkedSessionBody]
    location: LocationBody
    tags: list[str]
    command: str | None
    arguments: str | None
    sockets: int | None
    sockets_usage: int | None
    max_duration: int


class Stopped(Struct, frozen=True, omit_defaults=True):
    message: str
    deployment_summary: StatusBody | None = None


class DeploymentBrief(Struct, frozen=True):
    request_id: str
    fqdn: str
    start_time: str
    ready: bool
    status: str
    public_ip: str
    ports: dict[str, PortBody] | None
    tags: list[str]
    sockets: int | None
    sockets_usage: int | None
    is_joinable_by_session: bool


class DeploymentList(Struct, frozen=True):
    data: list[DeploymentBrief]
    total_count: int
    pagination: Pagination
    message: list[str]


class ListQuery(PageQuery, frozen=True):
    query: Annotated[str, Meta(description="A JSON object with `filters` and `order_by` (contract 3.6).")] | None = None


class BulkStopDeployments(Struct, frozen=True):
    filters: list[FilterBody]


class StoppedDeployment(Struct, frozen=True):
    request_id: str


class StoppedDeployments(Struct, frozen=True):
    processable: list[StoppedDeployment]


class Joinable(Struct, frozen=True):
    is_joinable_by_session: bool


class StopQuery(Struct, frozen=True):
    container_log_storage: Annotated[str, Meta(max_length=255)] | None = None


def status_body(deployment: Deployment, sessions: Sequence[LinkedSession], now: Instant) -> StatusBody:
    """The body of `GET /v1/status/{request_id}` (contract 3.5)."""
    sockets, usage = deployment.counted_sockets
    start = deployment.ready_at or deployment.created_at
    # While it starts, the detail says what it still waits for: no failure. One that failed and was removed is one still.
    failure = deployment.error_detail if deployment.status.ended else None
    return StatusBody(
        request_id=deployment.request_id,
        fqdn=deployment.fqdn,
        app_name=deployment.application_name,
        app_version=deployment.version_name,
        current_status=deployment.status.wire,
        running=deployment.ready,
        whitelisting_active=deployment.settings.whitelisting_active,
        start_time=v1_timestamp(start),
        removal_time=None if deployment.ended_at is None else v1_timestamp(deployment.ended_at),
        elapsed_time=elapsed_seconds(start, deployment.ended_at or now),
        last_status=None if deployment.last_status is None else deployment.last_status.wire,
        error=deployment.status is DeploymentStatus.ERROR or failure is not None,
        error_detail=failure,
        ports=port_bodies(deployment.ports, deployment.fqdn),
        public_ip=deployment.public_ip,
        sessions=[
            LinkedSessionBody(
                session_id=entry.session_id,
                status=entry.status.value,
                ready=entry.status is SessionStatus.READY and deployment.ready,
                linked=entry.status.linked,
                kind=entry.kind.value,
                user_count=entry.user_count,
            )
            for entry in sessions
        ],
        location=location_body(deployment.location),
        tags=[tag.name for tag in deployment.tags],
        command=deployment.server.command,
        arguments=deployment.server.arguments,
        sockets=sockets,
        sockets_usage=usage,
        max_duration=deployment.settings.max_duration_minutes,
    )


def distinct_tags(tags: Sequence[str] | None) -> tuple[str, ...]:
    """The tags of a request without repetitions; `Invalid` names the first that cannot be one."""
    return tuple(dict.fromkeys(check_tag(tag, f"tags.{index}") for index, tag in enumerate(tags or ())))


def status_webhook(deployment: Deployment, sessions: Sequence[LinkedSession], now: Instant) -> bytes:
    """What deployment webhooks send (a `deployments.ports.StatusBody`)."""
    return msgspec.json.encode(status_body(deployment, sessions, now))


class DeploymentEndpoints:
    """Deploy, status, stop, list, bulk stop, flags."""

    def __init__(self, service: DeploymentService, clock: Clock, check_url: CheckUrl) -> None:
        self._service = service
        self._clock = clock
        self._check_url = check_url

    async def deploy(self, call: Call[Deploy, None]) -> DeployAccepted:
        body = call.body
        if body.webhook_url:
            self._check_url(body.webhook_url)
        storage = body.container_log_storage or LogStorageBody()
        chosen = place_filters(body)
        deployment = await self._service.deploy(
            call.caller.organisation,
            DeploymentRequest(
                application=body.app_name,
                version=body.version_name,
                players=players(body),
                location=centre(body),
                filters=chosen,
                skip_telemetry=body.skip_telemetry,
                environment={entry.key: entry.value for entry in body.env_vars or ()},
                tags=distinct_tags(body.tags),
                webhooks=DeploymentWebhooks(ready=body.webhook_url, error=body.webhook_url),
                log_storage=LogStorage(storage.enabled, storage.endpoint_storage),
                command=body.command,
                arguments=body.arguments,
            ),
        )
        location = deployment.location
        return DeployAccepted(
            request_id=deployment.request_id,
            request_dns=deployment.fqdn,
            request_app=deployment.application_name,
            request_version=deployment.version_name,
            request_user_count=deployment.settings.user_count,
            city=location.city,
            country=location.country,
            continent=location.continent,
            administrative_division=location.administrative_division,
            tags=[tag.name for tag in deployment.tags],
            filters=[FilterBody(entry.field, list(entry.values), entry.filter_type.value) for entry in chosen],
            container_log_storage=storage,
        )

    async def read_status(self, call: Call[None, None]) -> StatusBody:
        deployment, sessions = await self._service.find(call.caller.organisation, call.path["request_id"])
        return status_body(deployment, sessions, self._clock.now())

    async def stop_deployment(self, call: Call[None, StopQuery]) -> Answer:
        return await self._stopped(await self._service.stop(call.caller.organisation, call.path["request_id"]))

    async def stop_self(self, call: Call[None, None]) -> Answer:
        return await self._stopped(
            await self._service.stop_self(call.path["request_id"], call.path["access_point_id"], call.secret)
        )

    async def _stopped(self, result: StopResult) -> Answer:
        deployment = result.deployment
        message = f"{deployment.request_id} - Delete request will be processed soon"
        if not result.first:
            return Answer(202, Stopped(message))
        return Answer(200, Stopped(message, status_body(deployment, (), self._clock.now())))

    async def list_deployments(self, call: Call[None, ListQuery]) -> DeploymentList:
        page = await self._service.page(call.caller.organisation, _query(call.query.query), call.query.request())
        return DeploymentList([_brief(entry) for entry in page.items], page.total_count, pagination(page), [])

    async def stop_deployments(self, call: Call[BulkStopDeployments, None]) -> StoppedDeployments:
        chosen = filters(call.body.filters, BULK_STOP_FIELDS)
        stopped = await self._service.bulk_stop(call.caller.organisation, chosen)
        return StoppedDeployments([StoppedDeployment(request_id) for request_id in stopped])

    async def set_joinable(self, call: Call[Joinable, None]) -> Joinable:
        deployment = await self._service.set_joinable(
            call.caller.organisation, call.path["request_id"], call.body.is_joinable_by_session
        )
        return Joinable(deployment.joinable)

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        tag = "Deployments"
        return [
            Endpoint(
                method="POST", path="/v1/deploy", handler=self.deploy, summary="Start a deployment",
                contract="3.4", tag=tag, body=Deploy, answers={200: DeployAccepted}, errors=(404, 409, 422),
                rate=RateClass.CREATE_DEPLOYMENT,
            ),
            Endpoint(
                method="GET", path="/v1/status/{request_id}", handler=self.read_status,
                summary="Read a deployment's status",
                contract="3.5", tag=tag, answers={200: StatusBody}, errors=(400, 404), rate=RateClass.DEPLOYMENT_STATUS,
            ),
            Endpoint(
                method="DELETE", path="/v1/stop/{request_id}", handler=self.stop_deployment,
                summary="Stop a deployment",
                contract="3.5", tag=tag, query=StopQuery, answers={200: Stopped, 202: Stopped},
                errors=(400, 403, 404, 410), unknown_key=403,
            ),
            Endpoint(
                method="DELETE", path="/v1/self/stop/{request_id}/{access_point_id}", handler=self.stop_self,
                summary="Stop a deployment from inside, with its delete token",
                contract="3.9", tag="From inside a deployment", answers={200: Stopped, 202: Stopped},
                errors=(400, 403, 404, 410), access=Access.OWN_TOKEN,
            ),
            Endpoint(
                method="GET", path="/v1/deployments", handler=self.list_deployments, summary="List deployments",
                contract="3.6", tag=tag, query=ListQuery, answers={200: DeploymentList},
                rate=RateClass.DEPLOYMENT_LIST,
            ),
            Endpoint(
                method="POST", path="/v1/deployments/bulk-stop", handler=self.stop_deployments,
                summary="Stop every deployment that matches all filters",
                contract="3.6", tag=tag, body=BulkStopDeployments, answers={200: StoppedDeployments},
            ),
            Endpoint(
                method="PATCH", path="/v1/deployments/{request_id}", handler=self.set_joinable,
                summary="Allow or forbid new sessions on a deployment",
                contract="3.6", tag=tag, body=Joinable, answers={200: Joinable}, errors=(404,),
            ),
        ]  # fmt: skip


def _query(text: str | None) -> DeploymentQuery:
    if not text:
        return DeploymentQuery()
    try:
        document = parse(text.encode())
    except Invalid as error:
        raise invalid_input({"query": "; ".join(error.fields.values())}) from None
    return checked_query(document)


def _brief(deployment: Deployment) -> DeploymentBrief:
    sockets, usage = deployment.counted_sockets
    return DeploymentBrief(
        request_id=deployment.request_id,
        fqdn=deployment.fqdn,
        start_time=v1_timestamp(deployment.ready_at or deployment.created_at),
        ready=deployment.ready,
        status=deployment.status.wire,
        public_ip=deployment.public_ip,
        ports=port_bodies(deployment.ports, deployment.fqdn),
        tags=[tag.name for tag in deployment.tags],
        sockets=sockets,
        sockets_usage=usage,
        is_joinable_by_session=deployment.joinable,
    )
