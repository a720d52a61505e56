"""Relay sessions: players who reach each other through a relay (contract 2.15 to 2.21)."""

from collections.abc import Callable, Sequence

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, listing, operation
from waymeet.client.calling.paging import Page, page_of
from waymeet.client.calling.plan import Call, Plan
from waymeet.client.calling.retry import ONCE, Retry
from waymeet.client.calling.waiting import poll_status
from waymeet.client.calling.wire import Body, answer, nothing
from waymeet.client.errors import RelaySessionFailed
from waymeet.client.relays.types import AuthorizedUser, RelaySession, RelayStatistics, RelayStatus
from waymeet.client.sessions.filters import Filter

_FAILED = frozenset({RelayStatus.ERROR, RelayStatus.TERMINATING})
_SESSIONS = "/v1/relays/sessions"


class _User(Body, frozen=True, kw_only=True):
    ip: str


class _NewRelaySession(Body, frozen=True, kw_only=True):
    users: Sequence[_User]
    filters: Sequence[Filter] = ()
    webhook_url: str | None = None


class _Authorize(Body, frozen=True, kw_only=True):
    session_id: str
    user_ip: str


class _Revoke(Body, frozen=True, kw_only=True):
    session_id: str
    authorization_token: int


_read_session = answer(RelaySession)


def _read_remaining(content: bytes) -> RelaySession | None:
    return _read_session(content) if content else None


class Relays(Group[ConnectionT]):
    """`client.relays`: players who reach each other through a relay."""

    @operation
    def create(
        self, ips: Sequence[str], *, filters: Sequence[Filter] = (), webhook_url: str | None = None
    ) -> Plan[RelaySession]:
        """A relay session for these players on the relay that is best for them all, mostly not `ready` yet: follow with
        `wait_until_ready`.

        Each entry is a user with a token of its own, also when two are alike. Only relays that pass all `filters` are
        taken; beside the fields of sessions there is `location`, which knows a place by any of its names and codes.
        `Unavailable` when there is none, or none with room. Not repeated by itself: two calls make two sessions.
        """
        body = _NewRelaySession(users=[_User(ip=ip) for ip in ips], filters=filters, webhook_url=webhook_url)
        return self._post(_SESSIONS, _read_session, body)

    @operation
    def get(self, session_id: str) -> Plan[RelaySession]:
        """The session as it is now. `NotFound` when it is unknown or over."""
        return self._session(session_id)

    @operation
    def wait_until_ready(
        self, session_id: str, timeout: float = 60.0, *, on_change: Callable[[RelaySession], None] | None = None
    ) -> Plan[RelaySession]:
        """The session once its relay lets its users in, with `relay` and all tokens.

        Asks every 0.2 s at first, later every 2 s. `on_change` is called with the session whenever its status has
        changed. `RelaySessionFailed` as soon as it cannot become ready any more, `StillWaiting` after `timeout` seconds.
        """
        return poll_status(
            self._connection,
            lambda: self._session(session_id, ONCE),
            lambda session: session.ready,
            lambda session: RelaySessionFailed(session) if session.status in _FAILED else None,
            timeout,
            f"readiness of relay session {session_id}",
            on_change,
        )

    @operation
    def delete(self, session_id: str) -> Plan[None]:
        """End the session: when this returns, its relay forwards nothing of it any more. `NotFound` when it was over
        already.

        `Unavailable` when the relay could not be reached: the session is over all the same, and the relay will hear.
        """
        # Not repeated: after a 503 the session is gone, and a second try would only say so.
        return self._connection.exchange(Call("DELETE", path("v1", "relays", "sessions", session_id), nothing), ONCE)

    @operation
    def authorize(self, session_id: str, ip: str) -> Plan[AuthorizedUser]:
        """Let one more user in, who can connect when this returns. `Conflict` when the session is not ready.

        Not repeated by itself: two calls make two users, also for one address.
        """
        return self._post(
            f"{_SESSIONS}:authorize-user", answer(AuthorizedUser), _Authorize(session_id=session_id, user_ip=ip)
        )

    @operation
    def revoke(self, session_id: str, token: int) -> Plan[RelaySession | None]:
        """Shut the user with this token out, at once; the session without him, or `None` when he was out already.

        `NotFound` when the session is over, or never gave the token to anybody.
        """
        body = _Revoke(session_id=session_id, authorization_token=token)
        return self._connection.exchange(
            Call("POST", f"{_SESSIONS}:revoke-user", _read_remaining, body=body, repeatable=True)
        )

    @operation
    def statistics(self, session_id: str) -> Plan[RelayStatistics]:
        """What the relay counted for the session. `Unavailable` when the relay cannot be asked now."""
        return self._get(path("v1", "relays", "sessions", session_id, "stats"), answer(RelayStatistics))

    @operation
    def page(self, number: int = 1, limit: int = 10) -> Plan[Page[RelaySession]]:
        """One page of the sessions that are not over, newest first."""
        return self._page(number, limit)

    @listing
    def each(self, limit: int = 100) -> Callable[[int], Plan[Page[RelaySession]]]:
        """Every session that is not over, newest first, fetched `limit` at a time.

        Pages are cut anew for each request: what starts or ends meanwhile may make an item appear twice or not at all.
        """
        return lambda number: self._page(number, limit)

    def _session(self, session_id: str, retry: Retry | None = None) -> Plan[RelaySession]:
        return self._get(path("v1", "relays", "sessions", session_id), _read_session, retry=retry)

    def _page(self, number: int, limit: int) -> Plan[Page[RelaySession]]:
        return self._get(_SESSIONS, page_of(RelaySession, "sessions"), {"page": str(number), "limit": str(limit)})
