"""Sessions: groups of players seated on game servers (contract 2.1 to 2.9)."""

from collections.abc import Callable, Sequence

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Call, Plan
from waymeet.client.calling.retry import ONCE, Retry
from waymeet.client.calling.waiting import poll_status
from waymeet.client.calling.wire import Answer, Body, answer, member
from waymeet.client.deployments.placement import Placement
from waymeet.client.errors import SessionFailed
from waymeet.client.sessions.filters import Coordinates, Filter, LocatedPlayer, Selector
from waymeet.client.sessions.types import (
    CreatedSession,
    DeletedSession,
    Session,
    SessionStatus,
    SessionSummary,
    SessionUser,
)

_FAILED = frozenset(
    {SessionStatus.ERROR, SessionStatus.UNPROCESSABLE, SessionStatus.TERMINATING, SessionStatus.TERMINATED}
)


class _NewSession(Body, frozen=True, kw_only=True):
    app_name: str
    version_name: str | None = None
    ip_list: Sequence[str] = ()
    geo_ip_list: Sequence[LocatedPlayer] = ()
    deployment_request_id: str | None = None
    location: Coordinates | None = None
    city: str | None = None
    country: str | None = None
    continent: str | None = None
    region: str | None = None
    administrative_division: str | None = None
    selectors: Sequence[Selector] = ()
    webhook_url: str | None = None
    filters: Sequence[Filter] = ()
    skip_telemetry: bool = False


class _Addresses(Body, frozen=True, kw_only=True):
    ip_list: Sequence[str]


class _Filters(Body, frozen=True, kw_only=True):
    filters: Sequence[Filter]


class _StoppedSession(Answer, frozen=True, kw_only=True):
    session_id: str


class Sessions(Group[ConnectionT]):
    """`client.sessions`: groups of players seated on game servers."""

    @operation
    def create(
        self,
        application: str,
        version: str | None = None,
        *,
        ips: Sequence[str] = (),
        players: Sequence[LocatedPlayer] = (),
        deployment: str | None = None,
        location: Coordinates | None = None,
        city: str | None = None,
        country: str | None = None,
        continent: str | None = None,
        region: str | None = None,
        administrative_division: str | None = None,
        filters: Sequence[Filter] = (),
        selectors: Sequence[Selector] = (),
        webhook_url: str | None = None,
        skip_telemetry: bool = False,
    ) -> Plan[CreatedSession]:
        """The session as accepted: written down, not seated yet. Follow with `wait_until_ready`.

        Players come as `ips` or, with known coordinates, as `players`, never both; each entry takes one seat, also
        when two are alike. Without `version` the newest active one is played. `deployment` seats on exactly that
        deployment; else the best one for all players is chosen among those that pass the place names and `filters`.
        `Conflict` when the named deployment cannot take the group. Not repeated by itself: two calls make two
        sessions.
        """
        body = _NewSession(
            app_name=application,
            version_name=version,
            ip_list=ips,
            geo_ip_list=players,
            deployment_request_id=deployment,
            location=location,
            city=city,
            country=country,
            continent=continent,
            region=region,
            administrative_division=administrative_division,
            selectors=selectors,
            webhook_url=webhook_url,
            filters=filters,
            skip_telemetry=skip_telemetry,
        )
        return self._post("/v1/session", answer(CreatedSession), body)

    @operation
    def get(self, session_id: str) -> Plan[Session]:
        """The session as it is now. `NotFound` when it is unknown or long over."""
        return self._session(session_id)

    @operation
    def placement(self, session_id: str) -> Plan[Placement]:
        """Why the session is where it is, as of when it was placed. `NotFound` when it is unknown or long over."""
        return self._get(path("v1", "session", session_id, "placement"), answer(Placement))

    @operation
    def wait_until_ready(
        self, session_id: str, timeout: float = 60.0, *, on_change: Callable[[Session], None] | None = None
    ) -> Plan[Session]:
        """The session once players may connect; `deployment` then holds address and ports.

        Asks every 0.2 s at first, later every 2 s. `on_change` is called with the session whenever its status has
        changed. `SessionFailed` as soon as it cannot become ready any more, `StillWaiting` after `timeout` seconds.
        """
        return poll_status(
            self._connection,
            lambda: self._session(session_id, ONCE),
            lambda session: session.ready,
            lambda session: SessionFailed(session) if session.status in _FAILED else None,
            timeout,
            f"readiness of session {session_id}",
            on_change,
        )

    @operation
    def delete(self, session_id: str) -> Plan[DeletedSession]:
        """Free the session's seats at once; its deployment keeps running. `NotFound` or `Gone` when it was over
        already.
        """
        return self._delete(path("v1", "session", session_id), answer(DeletedSession))

    @operation
    def users(self, session_id: str) -> Plan[tuple[SessionUser, ...]]:
        """The session's players, in the order they were given."""
        return self._get(self._users_path(session_id), _read_users)

    @operation
    def add_users(self, session_id: str, ips: Sequence[str]) -> Plan[tuple[SessionUser, ...]]:
        """All players after these were added. `Unprocessable`, and nothing added, when there are not seats for all of
        them.

        Not repeated by itself: two calls take twice the seats.
        """
        return self._connection.exchange(
            Call("PUT", self._users_path(session_id), _read_users, body=_Addresses(ip_list=ips))
        )

    @operation
    def remove_users(self, session_id: str, ips: Sequence[str]) -> Plan[tuple[SessionUser, ...]]:
        """The players left after one of each of these was removed; an address that is not there is ignored."""
        return self._connection.exchange(
            Call("DELETE", self._users_path(session_id), _read_users, body=_Addresses(ip_list=ips))
        )

    @operation
    def page(self, number: int = 1, limit: int = 10) -> Plan[Page[SessionSummary]]:
        """One page of the sessions that are not over, newest first."""
        return self._page(number, limit)

    @listing
    def each(self, limit: int = 100) -> Callable[[int], Plan[Page[SessionSummary]]]:
        """Every session that is not over, newest first, fetched `limit` at a time.

        Pages are cut anew for each request: what starts or ends meanwhile may make an item appear twice or not at all.
        """
        return lambda number: self._page(number, limit)

    @operation
    def bulk_stop(self, filters: Sequence[Filter]) -> Plan[tuple[str, ...]]:
        """Delete every session that passes all filters (`session_id`, `request_id`, `deployment_tags`); their ids."""
        return self._post("/v1/sessions/bulk-stop", _read_stopped, _Filters(filters=filters))

    def _session(self, session_id: str, retry: Retry | None = None) -> Plan[Session]:
        return self._get(path("v1", "session", session_id), answer(Session), retry=retry)

    def _page(self, number: int, limit: int) -> Plan[Page[SessionSummary]]:
        query = {"page": str(number), "limit": str(limit)}
        return self._get("/v1/sessions", page_of(SessionSummary, "data"), query)

    @staticmethod
    def _users_path(session_id: str) -> str:
        return path("v1", "session", session_id, "users")


_read_users = member("session_users", tuple[SessionUser, ...])
_read_stopped_entries = member("processable", tuple[_StoppedSession, ...])


def _read_stopped(content: bytes) -> tuple[str, ...]:
    return tuple(entry.session_id for entry in _read_stopped_entries(content))
