"""Sessions on the wire (contract 2.2 to 2.9). The rules live in `waymeet.sessions`."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from waymeet.deployments.tags import check_tag
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.errors import invalid_input
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.http.v1.objects import (
    Addresses,
    ContextBody,
    FilterBody,
    Name,
    Place,
    UserBody,
    canonical_ip,
    centre,
    context_body,
    filters,
    place_filters,
    players,
    user_bodies,
)
from waymeet.model.ids import parse_deployment_id
from waymeet.model.instant import Clock, Instant, elapsed_seconds, v1_timestamp
from waymeet.sessions.service import BULK_STOP_FIELDS, SessionService
from waymeet.sessions.types import SeatedSession, Selector, SelectorVariable, Session, SessionRequest, Wish

HIGHEST_SELECTORS = 20
CheckUrl = Callable[[str], None]
"""Raises `Invalid` for a webhook URL that will not be called."""


class SelectorVariableBody(Struct, frozen=True):
    key: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^=\x00]+$")]
    value: Annotated[str, Meta(min_length=1, max_length=1024)]


class SelectorBody(Struct, frozen=True):
    tag: Annotated[str, Meta(min_length=1, max_length=20)]
    tag_only: bool = False
    env: SelectorVariableBody | None = None


class CreateSession(Place, frozen=True, kw_only=True):
    app_name: Name
    version_name: Name | None = None
    deployment_request_id: str | None = None
    selectors: Annotated[list[SelectorBody], Meta(max_length=HIGHEST_SELECTORS)] | None = None
    webhook_url: Annotated[str, Meta(max_length=2048)] | None = None
    skip_telemetry: bool = False


class SessionCreated(Struct, frozen=True):
    session_id: str
    custom_id: str | None
    app: str
    version: str
    deployment_request_id: str | None
    selectors: list[SelectorBody]
    webhook_url: str | None


class SessionBody(Struct, frozen=True):
    session_id: str
    custom_id: str | None
    status: str
    ready: bool
    linked: bool
    kind: str
    user_count: int
    app_version: int
    create_time: str
    elapsed: int
    error: str | None
    session_users: list[UserBody]
    session_ips: list[UserBody]
    deployment: ContextBody | None
    deployment_request_id: str | None
    webhook_url: str | None


class SessionBrief(Struct, frozen=True):
    session_id: str
    custom_id: str | None
    status: str
    ready: bool
    linked: bool
    kind: str
    user_count: int
    deployment_request_id: str | None
    webhook_url: str | None


class SessionList(Struct, frozen=True):
    data: list[SessionBrief]
    total_count: int
    pagination: Pagination


class SessionDeleted(Struct, frozen=True):
    message: str
    session_id: str
    custom_id: str | None


class UserList(Struct, frozen=True):
    ip_list: Annotated[Addresses, Meta(min_length=1)]


class SessionUsers(Struct, frozen=True):
    session_users: list[UserBody]


class BulkStop(Struct, frozen=True):
    filters: list[FilterBody]


class StoppedSession(Struct, frozen=True):
    session_id: str


class StoppedSessions(Struct, frozen=True):
    processable: list[StoppedSession]


def session_body(seated: SeatedSession, now: Instant) -> SessionBody:
    """The body of `GET /v1/session/{session_id}`, with `deployment_request_id`: the union that the webhook sends."""
    session, deployment = seated.session, seated.deployment
    users = user_bodies(session.users)
    return SessionBody(
        session_id=session.session_id,
        custom_id=None,
        status=session.status.value,
        ready=seated.ready,
        linked=seated.linked,
        kind=session.kind.value,
        user_count=session.user_count,
        app_version=session.version_id,
        create_time=v1_timestamp(session.created_at),
        elapsed=elapsed_seconds(session.created_at, now),
        error=session.error,
        session_users=users,
        session_ips=users,
        deployment=None if deployment is None else context_body(deployment),
        deployment_request_id=session.deployment_id,
        webhook_url=session.webhook_url,
    )


def session_webhook(seated: SeatedSession, now: Instant) -> bytes:
    """What the session webhook sends (a `sessions.ports.SessionBody`)."""
    return msgspec.json.encode(session_body(seated, now))


class SessionEndpoints:
    """The eight session calls."""

    def __init__(self, service: SessionService, clock: Clock, check_url: CheckUrl) -> None:
        self._service = service
        self._clock = clock
        self._check_url = check_url

    async def create_session(self, call: Call[CreateSession, None]) -> SessionCreated:
        body = call.body
        request = SessionRequest(
            application=body.app_name,
            version=body.version_name,
            players=players(body),
            deployment_id=None,
            wish=Wish(centre(body), place_filters(body), body.skip_telemetry),
            selectors=tuple(_selector(entry, index) for index, entry in enumerate(body.selectors or ())),
            webhook_url=body.webhook_url,
        )
        if body.webhook_url:
            self._check_url(body.webhook_url)
        if body.deployment_request_id:
            deployment_id = parse_deployment_id(body.deployment_request_id)
            if deployment_id is None:
                raise invalid_input({"deployment_request_id": "must be 12 hexadecimal digits, such as 57f84a8e1298"})
            request = replace(request, deployment_id=deployment_id)
        elif not (request.players or request.wish.location or request.wish.filters):
            raise invalid_input(
                {
                    "ip_list": "there is nothing to place by: send ip_list, geo_ip_list, location, filters or "
                    "deployment_request_id"
                }
            )
        return _created(await self._service.create(call.caller.organisation, request))

    async def read_session(self, call: Call[None, None]) -> SessionBody:
        seated = await self._service.find(call.caller.organisation, call.path["session_id"])
        return session_body(seated, self._clock.now())

    async def delete_session(self, call: Call[None, None]) -> SessionDeleted:
        session_id = await self._service.delete(call.caller.organisation, call.path["session_id"])
        return SessionDeleted(f"Instance {session_id[:12]} will be deleted", session_id, None)

    async def add_session_users(self, call: Call[UserList, None]) -> SessionUsers:
        users = await self._service.add_users(call.caller.organisation, call.path["session_id"], _addresses(call.body))
        return SessionUsers(user_bodies(users))

    async def list_session_users(self, call: Call[None, None]) -> SessionUsers:
        seated = await self._service.find(call.caller.organisation, call.path["session_id"])
        return SessionUsers(user_bodies(seated.session.users))

    async def remove_session_users(self, call: Call[UserList, None]) -> SessionUsers:
        users = await self._service.remove_users(
            call.caller.organisation, call.path["session_id"], _addresses(call.body)
        )
        return SessionUsers(user_bodies(users))

    async def list_sessions(self, call: Call[None, PageQuery]) -> SessionList:
        page = await self._service.page(call.caller.organisation, call.query.request())
        return SessionList([_brief(seated) for seated in page.items], page.total_count, pagination(page))

    async def stop_sessions(self, call: Call[BulkStop, None]) -> StoppedSessions:
        chosen = filters(call.body.filters, BULK_STOP_FIELDS)
        stopped = await self._service.bulk_stop(call.caller.organisation, chosen)
        return StoppedSessions([StoppedSession(session_id) for session_id in stopped])

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        one, users = "/v1/session/{session_id}", "/v1/session/{session_id}/users"
        tag = "Sessions"
        return [
            Endpoint(
                method="POST", path="/v1/session", handler=self.create_session, summary="Seat a group of players",
                contract="2.2", tag=tag, body=CreateSession, answers={200: SessionCreated}, errors=(409,),
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_session, summary="Read a session",
                contract="2.3", tag=tag, answers={200: SessionBody}, errors=(400, 404),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.delete_session,
                summary="Delete a session; its deployment runs on",
                contract="2.4", tag=tag, answers={200: SessionDeleted}, errors=(400, 404, 410),
            ),
            Endpoint(
                method="PUT", path=users, handler=self.add_session_users, summary="Add users to a session",
                contract="2.5", tag=tag, body=UserList, answers={200: SessionUsers}, errors=(404, 410, 422),
            ),
            Endpoint(
                method="GET", path=users, handler=self.list_session_users, summary="List a session's users",
                contract="2.6", tag=tag, answers={200: SessionUsers}, errors=(400, 404),
            ),
            Endpoint(
                method="DELETE", path=users, handler=self.remove_session_users, summary="Remove users from a session",
                contract="2.7", tag=tag, body=UserList, answers={200: SessionUsers}, errors=(404, 410),
            ),
            Endpoint(
                method="GET", path="/v1/sessions", handler=self.list_sessions, summary="List active sessions",
                contract="2.8", tag=tag, query=PageQuery, answers={200: SessionList},
            ),
            Endpoint(
                method="POST", path="/v1/sessions/bulk-stop", handler=self.stop_sessions,
                summary="Delete every session that matches all filters",
                contract="2.9", tag=tag, body=BulkStop, answers={200: StoppedSessions},
            ),
        ]  # fmt: skip


def _addresses(body: UserList) -> list[str]:
    return [canonical_ip(ip, f"ip_list.{index}") for index, ip in enumerate(body.ip_list)]


def _selector(body: SelectorBody, index: int) -> Selector:
    if not body.tag_only:
        # It may be put on a deployment, so it has to be a deployment's tag.
        check_tag(body.tag, f"selectors.{index}.tag")
    variable = None if body.env is None else SelectorVariable(body.env.key, body.env.value)
    return Selector(body.tag, body.tag_only, variable)


def _created(session: Session) -> SessionCreated:
    return SessionCreated(
        session_id=session.session_id,
        custom_id=None,
        app=session.application_name,
        version=session.version_name,
        deployment_request_id=session.deployment_id,
        selectors=[
            SelectorBody(
                entry.tag,
                entry.tag_only,
                None if entry.env is None else SelectorVariableBody(entry.env.key, entry.env.value),
            )
            for entry in session.selectors
        ],
        webhook_url=session.webhook_url,
    )


def _brief(seated: SeatedSession) -> SessionBrief:
    session = seated.session
    return SessionBrief(
        session_id=session.session_id,
        custom_id=None,
        status=session.status.value,
        ready=seated.ready,
        linked=seated.linked,
        kind=session.kind.value,
        user_count=session.user_count,
        deployment_request_id=session.deployment_id,
        webhook_url=session.webhook_url,
    )
