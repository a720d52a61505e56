"""Rows of sessions."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from waymeet.applications.types import Version
from waymeet.deployments.types import LinkedSession, Player
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.model.states import DeploymentStatus, SessionKind, SessionStatus
from waymeet.placement.explanation import Explanation
from waymeet.sessions.types import SeatedSession, Selector, Session, Wish
from waymeet.store.applications import unchanged_version
from waymeet.store.deployments import CONTEXT_COLUMNS, context_of, explanation_from, tag_texts, take_in_roomiest
from waymeet.store.documents import reader, to_text
from waymeet.store.engine import Connection, Row, Value
from waymeet.store.statement import Statement

_INSERT = Statement(
    """
    INSERT INTO session (session_id, organisation_id, version_id, application_name, version_name, kind, status,
        deployment_id, seats, user_count, users, selectors, wish, webhook_url, error, retention_minutes, created_at,
        ended_at, due_at, explanation)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
    """
)
_SEAT = ("request_id", "status")


def _insert_seated(*, several_nodes: bool, tags: bool) -> Statement:
    """Seats and session in one statement, with exactly one row: where they are, or nulls when there are none.

    SQLite takes only the seats here: its INSERT stands alone, and costs no round trip there.
    """

    def taking(*, sqlite: bool) -> str:
        unchanged = unchanged_version("$15", version="$1", application_name="$7", name="$8", sqlite=sqlite)
        return take_in_roomiest(
            sqlite=sqlite,
            wait=False,
            several_nodes=several_nodes,
            tags="$17" if tags else None,
            returning=_SEAT,
            condition=f" AND {unchanged}",
        )

    return Statement(
        f"""
        WITH seat AS ({taking(sqlite=False)}), seated AS (
            INSERT INTO session (session_id, organisation_id, version_id, application_name, version_name, kind, status,
                deployment_id, seats, user_count, users, selectors, wish, retention_minutes, created_at,
                explanation)
            SELECT $5, $6, $1, $7, $8, $4, CASE WHEN status = 'READY' THEN 'Ready' ELSE 'Waiting' END,
                request_id, $2, $9, $10, $11, $12, $13, $14, $16
            FROM seat
        )
        SELECT {", ".join(_SEAT)} FROM (SELECT) AS always LEFT JOIN seat ON TRUE
        """,
        sqlite=taking(sqlite=True),
    )


_INSERT_SEATED = {
    (several_nodes, tags): _insert_seated(several_nodes=several_nodes, tags=tags)
    for several_nodes in (False, True)
    for tags in (False, True)
}
_SESSION_COLUMNS = ", ".join(
    f"s.{column}"
    for column in (
        "session_id",
        "organisation_id",
        "version_id",
        "application_name",
        "version_name",
        "kind",
        "status",
        "deployment_id",
        "seats",
        "users",
        "selectors",
        "wish",
        "webhook_url",
        "error",
        "retention_minutes",
        "created_at",
        "ended_at",
        "due_at",
    )
)
_SESSION_WIDTH = _SESSION_COLUMNS.count(",") + 1
_CONTEXT = ", ".join(f"d.{column}" for column in CONTEXT_COLUMNS)
_SELECT_SEATED = f"SELECT {_SESSION_COLUMNS}, {_CONTEXT}"
_WITH_DEPLOYMENT = (
    "LEFT JOIN deployment d"
    " ON d.request_id = s.deployment_id AND s.status IN ('Waiting', 'Ready', 'Terminating', 'Terminated')"
)
_SEATED = f"{_SELECT_SEATED} FROM session s {_WITH_DEPLOYMENT}"
# On PostgreSQL exactly one row, of nulls when there is no such session, so that many callers can share a round trip.
_FIND = Statement(
    f"{_SELECT_SEATED} FROM (SELECT) AS always LEFT JOIN session s ON s.session_id = $1 AND s.organisation_id = $2"
    f" {_WITH_DEPLOYMENT}",
    sqlite=f"{_SEATED} WHERE s.session_id = $1 AND s.organisation_id = $2",
)
_EXPLANATION = Statement("SELECT explanation FROM session WHERE session_id = $2 AND organisation_id = $1")
_LOCK_PLAIN = f"SELECT {_SESSION_COLUMNS} FROM session s WHERE s.session_id = $2 AND s.organisation_id = $1"
_LOCK = Statement(f"{_LOCK_PLAIN} FOR UPDATE", sqlite=_LOCK_PLAIN)
_LOCK_OF_PLAIN = (
    f"SELECT {_SESSION_COLUMNS} FROM session s WHERE s.deployment_id = $1 AND s.ended_at IS NULL"
    " ORDER BY s.created_at, s.session_id"
)
_LOCK_OF = Statement(f"{_LOCK_OF_PLAIN} FOR UPDATE", sqlite=_LOCK_OF_PLAIN)
_SAVE = Statement(
    """
    UPDATE session SET status = $2, deployment_id = $3, seats = $4, user_count = $5, users = $6, error = $7,
        ended_at = $8, due_at = $9, explanation = COALESCE($10, explanation)
    WHERE session_id = $1
    """
)
_COUNT = Statement("SELECT COUNT(*) FROM session WHERE organisation_id = $1 AND ended_at IS NULL")
_PAGE = Statement(
    f"{_SEATED} WHERE s.organisation_id = $1 AND s.ended_at IS NULL"
    " ORDER BY s.created_at DESC, s.session_id DESC LIMIT $2 OFFSET $3"
)
_ACTIVE_AFTER = Statement(
    f"{_SEATED} WHERE s.organisation_id = $1 AND s.ended_at IS NULL AND s.session_id > $2"
    " ORDER BY s.session_id LIMIT $3"
)
_LINKED_TO = Statement(
    """
    SELECT session_id, status, kind, user_count FROM session
    WHERE deployment_id = $1 AND status IN ('Waiting', 'Ready') ORDER BY created_at, session_id
    """
)
_ANY_DUE = Statement("SELECT 1 FROM session WHERE due_at <= $1 LIMIT 1")
_SEEKING_DUE = Statement(
    "SELECT organisation_id, session_id FROM session WHERE due_at <= $1 AND status = 'Seeking' ORDER BY due_at LIMIT $2"
)
_POSTPONE = Statement("UPDATE session SET due_at = $3 WHERE session_id = $1 AND due_at <= $2")
_DELETE_DUE = Statement(
    "DELETE FROM session WHERE session_id IN"
    " (SELECT session_id FROM session WHERE due_at <= $1 AND status <> 'Seeking' LIMIT $2)"
)

_users = msgspec.json.Decoder(tuple[Player, ...]).decode
_selectors = reader(tuple[Selector, ...])
_wish = reader(Wish)
# A dictionary finds a member several times faster than the enumeration's own constructor.
_STATUS = {status.value: status for status in SessionStatus}
_KIND = {kind.value: kind for kind in SessionKind}


class SessionRows:
    """`sessions.ports.SessionRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, session: Session) -> None:
        await self._connection.execute(
            _INSERT,
            session.session_id,
            session.organisation,
            session.version_id,
            session.application_name,
            session.version_name,
            session.kind.value,
            session.status.value,
            session.deployment_id,
            session.seats,
            session.user_count,
            to_text(session.users),
            to_text(session.selectors),
            to_text(session.wish),
            session.webhook_url,
            session.error,
            session.retention_minutes,
            session.created_at,
            session.ended_at,
            session.due_at,
            _explanation_text(session),
        )

    async def insert_seated(
        self, session: Session, version: Version, nodes: Sequence[NodeName], tags: Sequence[str]
    ) -> Session | None:
        several = len(nodes) != 1
        values: list[Value] = [
            version.id,
            session.seats,
            to_text(nodes) if several else nodes[0],
            session.kind.value,
            session.session_id,
            session.organisation,
            version.application_name,
            version.name,
            session.user_count,
            to_text(session.users),
            to_text(session.selectors),
            to_text(session.wish),
            session.retention_minutes,
            session.created_at,
            version.settings_mark,
            _explanation_text(session),
        ]
        if tags:
            values.append(tag_texts(tags))
        row = await self._connection.fetch_one(_INSERT_SEATED[several, bool(tags)], *values)
        if row is None or row[0] is None:
            return None
        status = SessionStatus.READY if row[1] == DeploymentStatus.READY else SessionStatus.WAITING
        seated = replace(session, status=status, deployment_id=DeploymentId(row[0]))
        if self._connection.dialect == "sqlite":
            await self.insert(seated)
        return seated

    async def find(self, organisation: OrganisationId, session_id: SessionId) -> SeatedSession | None:
        row = await self._connection.fetch_one(_FIND, session_id, organisation)
        return None if row is None or row[0] is None else _seated(row)

    async def explanation(
        self, organisation: OrganisationId, session_id: SessionId
    ) -> tuple[Explanation | None] | None:
        row = await self._connection.fetch_one(_EXPLANATION, organisation, session_id)
        return None if row is None else (explanation_from(row["explanation"]),)

    async def lock(self, organisation: OrganisationId, session_id: SessionId) -> Session | None:
        row = await self._connection.fetch_one(_LOCK, organisation, session_id)
        return None if row is None else _session(row)

    async def lock_of(self, deployment_id: DeploymentId) -> Sequence[Session]:
        return [_session(row) for row in await self._connection.fetch(_LOCK_OF, deployment_id)]

    async def save(self, session: Session) -> None:
        await self._connection.execute(
            _SAVE,
            session.session_id,
            session.status.value,
            session.deployment_id,
            session.seats,
            session.user_count,
            to_text(session.users),
            session.error,
            session.ended_at,
            session.due_at,
            _explanation_text(session),
        )

    async def page(self, organisation: OrganisationId, request: PageRequest) -> Page[SeatedSession]:
        count = await self._connection.fetch_one(_COUNT, organisation)
        assert count is not None, "an aggregate always has a row"
        rows = await self._connection.fetch(_PAGE, organisation, request.limit, request.offset)
        return Page([_seated(row) for row in rows], count[0], request)

    async def active_after(self, organisation: OrganisationId, after: SessionId, limit: int) -> Sequence[SeatedSession]:
        return [_seated(row) for row in await self._connection.fetch(_ACTIVE_AFTER, organisation, after, limit)]

    async def linked_to(self, request_id: DeploymentId) -> Sequence[LinkedSession]:
        return [
            LinkedSession(row["session_id"], _STATUS[row["status"]], _KIND[row["kind"]], row["user_count"])
            for row in await self._connection.fetch(_LINKED_TO, request_id)
        ]

    async def seeking_due(self, now: Instant, limit: int) -> Sequence[tuple[OrganisationId, SessionId]]:
        return [(row[0], row[1]) for row in await self._connection.fetch(_SEEKING_DUE, now, limit)]

    async def postpone(self, session_id: SessionId, now: Instant, until: Instant) -> None:
        await self._connection.execute(_POSTPONE, session_id, now, until)

    async def any_due(self, now: Instant) -> bool:
        return await self._connection.fetch_one(_ANY_DUE, now) is not None

    async def delete_due(self, now: Instant, limit: int) -> int:
        return await self._connection.execute(_DELETE_DUE, now, limit)


def _explanation_text(session: Session) -> str | None:
    return None if session.explanation is None else to_text(session.explanation)


def _seated(row: Row) -> SeatedSession:
    values = tuple(row)
    context = values[_SESSION_WIDTH:]
    return SeatedSession(_session(values[:_SESSION_WIDTH]), None if context[0] is None else context_of(*context))


def _session(values: Iterable[Any]) -> Session:
    """The session in the values of `_SESSION_COLUMNS`, which stand in the order of the type's own members."""
    (
        session_id,
        organisation,
        version_id,
        application_name,
        version_name,
        kind,
        status,
        deployment_id,
        seats,
        users,
        selectors,
        wish,
        webhook_url,
        error,
        retention_minutes,
        created_at,
        ended_at,
        due_at,
    ) = values
    return Session(
        session_id,
        organisation,
        version_id,
        application_name,
        version_name,
        _KIND[kind],
        _STATUS[status],
        deployment_id,
        seats,
        _users(users),
        _selectors(selectors),
        _wish(wish),
        webhook_url,
        error,
        retention_minutes,
        created_at,
        ended_at,
        due_at,
    )
