"""Relay sessions on the wire (contract 2.15 to 2.21). The rules live in `waymeet.relays`."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from waymeet.accounts.types import Scope
from waymeet.http.call import Answer, Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.errors import invalid_input
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.http.v1.objects import FilterBody, canonical_ip, filters
from waymeet.model.instant import v1_timestamp
from waymeet.model.relays import HIGHEST_TOKEN
from waymeet.placement.places import FILTER_FIELDS
from waymeet.relays.service import RelayService
from waymeet.relays.types import HIGHEST_USERS, RelayRequest, RelaySession, RelayUser

RELAY_FILTER_FIELDS = frozenset({*FILTER_FIELDS, "location"})
CheckUrl = Callable[[str], None]
"""Raises `Invalid` for a webhook URL that will not be called."""

_DECIMAL = re.compile(r"[0-9]{1,10}")


class RelayUserBody(Struct, frozen=True):
    ip: Annotated[str, Meta(max_length=64)]


class CreateRelaySession(Struct, frozen=True):
    users: Annotated[list[RelayUserBody], Meta(min_length=1, max_length=HIGHEST_USERS)]
    filters: list[FilterBody] | None = None
    webhook_url: Annotated[str, Meta(max_length=2048)] | None = None


class AuthorizeUser(Struct, frozen=True):
    session_id: Annotated[str, Meta(max_length=255)]
    user_ip: Annotated[str, Meta(max_length=64)]


class RevokeUser(Struct, frozen=True):
    session_id: Annotated[str, Meta(max_length=255)]
    authorization_token: int | str


class RelaySessionUser(Struct, frozen=True):
    ip_address: str
    latitude: float | None
    longitude: float | None
    authorization_token: int


class RelayPortBody(Struct, frozen=True):
    port: int
    protocol: str
    link: str


class RelayPortsBody(Struct, frozen=True):
    server: RelayPortBody
    client: RelayPortBody


class RelayBody(Struct, frozen=True):
    ip: str
    host: str
    ports: RelayPortsBody


class RelaySessionBody(Struct, frozen=True):
    session_id: str
    authorization_token: int | None
    status: str
    ready: bool
    linked: bool
    error: str | None
    session_users: list[RelaySessionUser]
    relay: RelayBody | None
    webhook_url: str | None


class AuthorizedUser(Struct, frozen=True):
    session_id: str
    authorization_token: int | None
    status: str
    ready: bool
    linked: bool
    error: str | None
    session_user: RelaySessionUser
    relay: RelayBody | None
    webhook_url: str | None


class RelaySessionList(Struct, frozen=True):
    sessions: list[RelaySessionBody]
    total_count: int
    pagination: Pagination


class RelayStatistics(Struct, frozen=True):
    session_id: str
    received_packets: int
    received_bytes: int
    sent_packets: int
    sent_bytes: int
    drops: dict[str, int]
    last_seen: str | None


def relay_session_body(session: RelaySession) -> RelaySessionBody:
    """The relay session object. Everything that a client connects with appears in the step that makes it ready."""
    ready = session.ready
    return RelaySessionBody(
        session_id=session.session_id,
        authorization_token=session.token if ready else None,
        status=session.status.value,
        ready=ready,
        linked=ready,
        error=session.error,
        session_users=[_user(user) for user in session.users] if ready else [],
        relay=_relay(session) if ready else None,
        webhook_url=session.webhook_url,
    )


def relay_webhook(session: RelaySession) -> bytes:
    """What the relay webhook sends (a `relays.ports.RelayBody`)."""
    return msgspec.json.encode(relay_session_body(session))


class RelayEndpoints:
    """The six relay session calls, and the counters that Waymeet adds."""

    def __init__(self, service: RelayService, check_url: CheckUrl) -> None:
        self._service = service
        self._check_url = check_url

    async def create_relay_session(self, call: Call[CreateRelaySession, None]) -> RelaySessionBody:
        body = call.body
        if body.webhook_url:
            self._check_url(body.webhook_url)
        request = RelayRequest(
            addresses=tuple(canonical_ip(user.ip, f"users.{index}.ip") for index, user in enumerate(body.users)),
            filters=filters(body.filters or (), RELAY_FILTER_FIELDS),
            webhook_url=body.webhook_url or None,
        )
        return relay_session_body(await self._service.create(call.caller.organisation, request))

    async def list_relay_sessions(self, call: Call[None, PageQuery]) -> RelaySessionList:
        page = await self._service.page(call.caller.organisation, call.query.request())
        bodies = [relay_session_body(session) for session in page.items]
        return RelaySessionList(bodies, page.total_count, pagination(page))

    async def read_relay_session(self, call: Call[None, None]) -> RelaySessionBody:
        return relay_session_body(await self._service.find(call.caller.organisation, call.path["session_id"]))

    async def delete_relay_session(self, call: Call[None, None]) -> None:
        await self._service.delete(call.caller.organisation, call.path["session_id"])

    async def authorize_user(self, call: Call[AuthorizeUser, None]) -> AuthorizedUser:
        address = canonical_ip(call.body.user_ip, "user_ip")
        session, user = await self._service.authorize(call.caller.organisation, call.body.session_id, address)
        whole = relay_session_body(session)
        return AuthorizedUser(
            session_id=whole.session_id,
            authorization_token=whole.authorization_token,
            status=whole.status,
            ready=whole.ready,
            linked=whole.linked,
            error=whole.error,
            session_user=_user(user),
            relay=whole.relay,
            webhook_url=whole.webhook_url,
        )

    async def revoke_user(self, call: Call[RevokeUser, None]) -> RelaySessionBody | Answer:
        token = _token(call.body.authorization_token)
        session, removed = await self._service.revoke(call.caller.organisation, call.body.session_id, token)
        return relay_session_body(session) if removed else Answer(204, None)

    async def read_statistics(self, call: Call[None, None]) -> RelayStatistics:
        session, counters = await self._service.counters(call.caller.organisation, call.path["session_id"])
        return RelayStatistics(
            session_id=session.session_id,
            received_packets=counters.received_packets,
            received_bytes=counters.received_bytes,
            sent_packets=counters.sent_packets,
            sent_bytes=counters.sent_bytes,
            drops=counters.drops,
            last_seen=None if counters.last_seen_at is None else v1_timestamp(counters.last_seen_at),
        )

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table. A key that only reaches relays is enough (contract 4.1 row 27)."""
        several, one = "/v1/relays/sessions", "/v1/relays/sessions/{session_id}"
        tag = "Relays"
        rows: list[Endpoint[Any, Any]] = [
            Endpoint(
                method="POST", path=several, handler=self.create_relay_session,
                summary="Give a group of players a relay", contract="2.16", tag=tag, body=CreateRelaySession,
                answers={200: RelaySessionBody}, errors=(403, 503),
            ),
            Endpoint(
                method="GET", path=several, handler=self.list_relay_sessions, summary="List active relay sessions",
                contract="2.17", tag=tag, query=PageQuery, answers={200: RelaySessionList}, errors=(403,),
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_relay_session, summary="Read a relay session",
                contract="2.18", tag=tag, answers={200: RelaySessionBody}, errors=(403, 404),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.delete_relay_session,
                summary="End a relay session; its tokens are dead when this answers",
                contract="2.19", tag=tag, answers={204: None}, errors=(403, 404, 503),
            ),
            Endpoint(
                method="POST", path=f"{several}:authorize-user", handler=self.authorize_user,
                summary="Let one more user into a relay session", contract="2.20", tag=tag, body=AuthorizeUser,
                answers={200: AuthorizedUser}, errors=(403, 409, 503),
            ),
            Endpoint(
                method="POST", path=f"{several}:revoke-user", handler=self.revoke_user,
                summary="Shut a user out of a relay session", contract="2.21", tag=tag, body=RevokeUser,
                answers={200: RelaySessionBody, 204: None}, errors=(403, 404, 503),
            ),
            Endpoint(
                method="GET", path=f"{one}/stats", handler=self.read_statistics,
                summary="What the relay counted for a session", contract="", tag=tag,
                answers={200: RelayStatistics}, errors=(403, 404, 503),
            ),
        ]  # fmt: skip
        return [replace(row, scope=Scope.RELAY, unknown_key=403) for row in rows]


def _token(sent: int | str) -> int:
    if isinstance(sent, str) and _DECIMAL.fullmatch(sent):
        sent = int(sent)
    if not isinstance(sent, int) or not 1 <= sent <= HIGHEST_TOKEN:
        raise invalid_input({"authorization_token": f"a number between 1 and {HIGHEST_TOKEN}, the token of one user"})
    return sent


def _user(user: RelayUser) -> RelaySessionUser:
    at = user.coordinates
    return RelaySessionUser(
        user.address, None if at is None else at.latitude, None if at is None else at.longitude, user.token
    )


def _relay(session: RelaySession) -> RelayBody:
    host, ports = session.host, session.endpoint.ports
    return RelayBody(
        session.endpoint.address,
        host,
        RelayPortsBody(server=_port(host, ports.server_port), client=_port(host, ports.client_port)),
    )


def _port(host: str, port: int) -> RelayPortBody:
    return RelayPortBody(port, "UDP", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
