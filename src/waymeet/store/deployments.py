"""Rows of deployments."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from waymeet.deployments.types import (
    Crash,
    Deployment,
    DeploymentContext,
    DeploymentQuery,
    DeploymentSettings,
    Tag,
)
from waymeet.model.ids import DeploymentId, NodeName, OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.location import Location
from waymeet.model.paging import Page, PageRequest
from waymeet.model.servers import PortMapping, ServerSpec
from waymeet.model.states import DeploymentStatus, SessionKind
from waymeet.placement.explanation import Explanation
from waymeet.store.deployment_query import list_statements
from waymeet.store.documents import REMEMBERED_DOCUMENTS, reader, tag_text, to_text
from waymeet.store.engine import Connection, Row, Value
from waymeet.store.statement import Statement

_INSERT = Statement(
    """
    INSERT INTO deployment (
        request_id, organisation_id, version_id, application_name, version_name, node_name, status, last_status,
        wanted, joinable, accepting, kind, sockets, sockets_used, session_count, location, public_ip, fqdn,
        ports, server, settings, whitelisting_active, tags, crash, error_detail, created_at, starting_since,
        ready_at, stopped_at, ended_at, empty_since, empty_ttl_minutes, due_at, explanation)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
        $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34)
    """
)
_FIND = Statement("SELECT * FROM deployment WHERE request_id = $2 AND organisation_id = $1")
_EXPLANATION = Statement("SELECT explanation FROM deployment WHERE request_id = $2 AND organisation_id = $1")
_FIND_ANY = Statement("SELECT * FROM deployment WHERE request_id = $1")
# SQLite has one writer at a time, so a row needs no lock of its own there.
_LOCK = Statement("SELECT * FROM deployment WHERE request_id = $1 FOR UPDATE", sqlite=_FIND_ANY.postgres)
_LOCK_MANY = Statement(
    "SELECT * FROM deployment WHERE request_id IN (SELECT jsonb_array_elements_text($1::text::jsonb))"
    " ORDER BY request_id FOR UPDATE",
    sqlite="SELECT * FROM deployment WHERE request_id IN (SELECT value FROM json_each($1)) ORDER BY request_id",
)
_SAVE = Statement(
    """
    UPDATE deployment SET status = $2, last_status = $3, wanted = $4, joinable = $5, accepting = $6, public_ip = $7,
        fqdn = $8, ports = $9, tags = $10, crash = $11, error_detail = $12, starting_since = $13, ready_at = $14,
        stopped_at = $15, ended_at = $16, empty_since = $17, due_at = $18
    WHERE request_id = $1
    """
)
CONTEXT_COLUMNS = (
    "request_id",
    "status",
    "public_ip",
    "fqdn",
    "ports",
    "location",
    "tags",
    "kind",
    "sockets",
    "sockets_used",
    "joinable",
    "whitelisting_active",
)
_LINK = "UPDATE deployment SET sockets_used = sockets_used + $2, session_count = session_count + 1, empty_since = NULL"
_RETURNING_CONTEXT = f"RETURNING {', '.join(CONTEXT_COLUMNS)}"
_TAKE_SEATS = Statement(
    f"{_LINK} WHERE request_id = $1 AND accepting AND (sockets IS NULL OR sockets_used + $2 <= sockets)"
    f" {_RETURNING_CONTEXT}"
)
_ADD_SEATS = Statement(
    """
    UPDATE deployment SET sockets_used = sockets_used + $2
    WHERE request_id = $1 AND wanted AND ended_at IS NULL AND sockets_used + $2 <= sockets
    """
)
_GIVE_BACK = Statement(
    """
    UPDATE deployment SET sockets_used = sockets_used - $2, session_count = session_count - $3,
        empty_since = CASE WHEN session_count = $3 AND status = 'READY' THEN $4 ELSE empty_since END,
        due_at = CASE WHEN session_count = $3 AND status = 'READY' AND empty_ttl_minutes IS NOT NULL THEN $4 ELSE due_at END
    WHERE request_id = $1
    """,
)


def take_in_roomiest(
    *, sqlite: bool, wait: bool, several_nodes: bool, tags: str | None, returning: Sequence[str], condition: str = ""
) -> str:
    """SQL that links a session: $2 seats on the best server of version $1 that counts in the way of $4, on the node $3 or,
    with `several_nodes`, on one of those. `tags` is the parameter with the tags that it must carry; `condition` must
    hold as well.

    Several forms, because the usual call (one node, no tags) need not pay for taking lists apart.
    """
    elements = "(SELECT value FROM json_each({}))" if sqlite else "(SELECT jsonb_array_elements_text({}::text::jsonb))"
    absent = (
        "SELECT 1 FROM json_each({}) WHERE instr(tags, value) = 0"
        if sqlite
        else "SELECT 1 FROM jsonb_array_elements_text({}::text::jsonb) AS tag WHERE strpos(tags, tag) = 0"
    )
    nodes = f"IN {elements.format('$3')}" if several_nodes else "= $3"
    tagged = f" AND NOT EXISTS ({absent.format(tags)})" if tags else ""
    lock = "" if sqlite else " FOR UPDATE" if wait else " FOR UPDATE SKIP LOCKED"
    return (
        f"{_LINK} WHERE request_id = (SELECT request_id FROM deployment WHERE version_id = $1 AND accepting"
        f" AND sockets_used < sockets AND sockets_used + $2 <= sockets AND kind = $4 AND node_name {nodes}{tagged}"
        " ORDER BY CASE WHEN status = 'READY' THEN 0 ELSE 1 END, sockets_used DESC, created_at, request_id"
        f" LIMIT 1{lock}){condition} RETURNING {', '.join(returning)}"
    )


def _take_statement(*, wait: bool, several_nodes: bool, tags: bool) -> Statement:
    def text(*, sqlite: bool) -> str:
        return take_in_roomiest(
            sqlite=sqlite,
            wait=wait,
            several_nodes=several_nodes,
            tags="$5" if tags else None,
            returning=CONTEXT_COLUMNS,
        )

    return Statement(text(sqlite=False), sqlite=text(sqlite=True))


_TAKE_IN_ROOMIEST = {
    (wait, several_nodes, tags): _take_statement(wait=wait, several_nodes=several_nodes, tags=tags)
    for wait in (False, True)
    for several_nodes in (False, True)
    for tags in (False, True)
}
_NODES_WITH_ROOM = Statement(
    """
    SELECT DISTINCT node_name FROM deployment
    WHERE version_id = $1 AND accepting AND sockets_used < sockets AND sockets_used + $2 <= sockets AND kind = $4
        AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements_text($3::text::jsonb) AS tag WHERE strpos(tags, tag) = 0)
    """,
    sqlite="""
    SELECT DISTINCT node_name FROM deployment
    WHERE version_id = $1 AND accepting AND sockets_used < sockets AND sockets_used + $2 <= sockets AND kind = $4
        AND NOT EXISTS (SELECT 1 FROM json_each($3) WHERE instr(tags, value) = 0)
    """,
)
_LOCK_STARTS = Statement("SELECT pg_advisory_xact_lock($1)")
_UNFINISHED_ON = Statement(
    "SELECT request_id, wanted FROM deployment WHERE node_name = $1 AND ended_at IS NULL ORDER BY request_id"
)
_SERVERS = Statement(
    "SELECT server FROM deployment WHERE request_id IN (SELECT jsonb_array_elements_text($1::text::jsonb))"
    " ORDER BY created_at, request_id",
    sqlite="SELECT server FROM deployment WHERE request_id IN (SELECT value FROM json_each($1))"
    " ORDER BY created_at, request_id",
)
_DUE = Statement("SELECT request_id FROM deployment WHERE due_at <= $1 ORDER BY due_at LIMIT $2")
_POSTPONE = Statement("UPDATE deployment SET due_at = $3 WHERE request_id = $1 AND due_at <= $2")
_ACTIVE_AFTER = Statement(
    "SELECT * FROM deployment WHERE organisation_id = $1 AND status <> 'TERMINATED' AND request_id > $2"
    " ORDER BY request_id LIMIT $3"
)
_DELETE = Statement("DELETE FROM deployment WHERE request_id = $1")

# Advisory locks share one number space per database; this half is ours, the other the migrations'.
_STARTS_LOCK_SPACE = 0x5741 << 48

_location = reader(Location)
_ports = reader(tuple[PortMapping, ...])
_tags = reader(tuple[Tag, ...])
_settings = reader(DeploymentSettings)
_server = msgspec.json.Decoder(ServerSpec).decode
_crash = msgspec.json.Decoder(Crash).decode
_explanation = msgspec.json.Decoder(Explanation).decode
# A dictionary finds a member several times faster than the enumeration's own constructor.
_STATUS = {status.value: status for status in DeploymentStatus}
_KIND = {kind.value: kind for kind in SessionKind}


class DeploymentRows:
    """`deployments.ports.DeploymentRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, deployment: Deployment) -> None:
        entry = deployment
        await self._connection.execute(
            _INSERT,
            entry.request_id,
            entry.organisation,
            entry.version_id,
            entry.application_name,
            entry.version_name,
            entry.node_name,
            entry.status.value,
            None if entry.last_status is None else entry.last_status.value,
            entry.wanted,
            entry.joinable,
            entry.accepting,
            entry.kind.value,
            entry.sockets,
            entry.sockets_used,
            entry.session_count,
            to_text(entry.location),
            entry.public_ip,
            entry.fqdn,
            None if entry.ports is None else to_text(entry.ports),
            to_text(entry.server),
            to_text(entry.settings),
            entry.settings.whitelisting_active,
            to_text(entry.tags),
            None if entry.crash is None else to_text(entry.crash),
            entry.error_detail,
            entry.created_at,
            entry.starting_since,
            entry.ready_at,
            entry.stopped_at,
            entry.ended_at,
            entry.empty_since,
            entry.empty_ttl_minutes,
            entry.due_at,
            None if entry.explanation is None else to_text(entry.explanation),
        )

    async def explanation(
        self, organisation: OrganisationId, request_id: DeploymentId
    ) -> tuple[Explanation | None] | None:
        row = await self._connection.fetch_one(_EXPLANATION, organisation, request_id)
        return None if row is None else (explanation_from(row["explanation"]),)

    async def find(self, organisation: OrganisationId, request_id: DeploymentId) -> Deployment | None:
        row = await self._connection.fetch_one(_FIND, organisation, request_id)
        return None if row is None else deployment_from(row)

    async def find_any(self, request_id: DeploymentId) -> Deployment | None:
        row = await self._connection.fetch_one(_FIND_ANY, request_id)
        return None if row is None else deployment_from(row)

    async def lock(self, request_id: DeploymentId) -> Deployment | None:
        row = await self._connection.fetch_one(_LOCK, request_id)
        return None if row is None else deployment_from(row)

    async def lock_many(self, request_ids: Sequence[DeploymentId]) -> Sequence[Deployment]:
        rows = await self._connection.fetch(_LOCK_MANY, to_text(request_ids))
        return [deployment_from(row) for row in rows]

    async def save(self, deployment: Deployment) -> None:
        entry = deployment
        await self._connection.execute(
            _SAVE,
            entry.request_id,
            entry.status.value,
            None if entry.last_status is None else entry.last_status.value,
            entry.wanted,
            entry.joinable,
            entry.accepting,
            entry.public_ip,
            entry.fqdn,
            None if entry.ports is None else to_text(entry.ports),
            to_text(entry.tags),
            None if entry.crash is None else to_text(entry.crash),
            entry.error_detail,
            entry.starting_since,
            entry.ready_at,
            entry.stopped_at,
            entry.ended_at,
            entry.empty_since,
            entry.due_at,
        )

    async def take_seats(self, request_id: DeploymentId, seats: int) -> DeploymentContext | None:
        row = await self._connection.fetch_one(_TAKE_SEATS, request_id, seats)
        return None if row is None else context_from(row)

    async def take_in_roomiest(
        self,
        version_id: int,
        kind: SessionKind,
        nodes: Sequence[NodeName],
        seats: int,
        tags: Sequence[str],
        *,
        wait: bool,
    ) -> DeploymentContext | None:
        several = len(nodes) != 1
        values: list[Value] = [version_id, seats, to_text(nodes) if several else nodes[0], kind.value]
        if tags:
            values.append(tag_texts(tags))
        row = await self._connection.fetch_one(_TAKE_IN_ROOMIEST[wait, several, bool(tags)], *values)
        return None if row is None else context_from(row)

    async def add_seats(self, request_id: DeploymentId, seats: int) -> bool:
        return await self._connection.execute(_ADD_SEATS, request_id, seats) == 1

    async def give_back(self, request_id: DeploymentId, seats: int, sessions: int, now: Instant) -> None:
        await self._connection.execute(_GIVE_BACK, request_id, seats, sessions, now)

    async def nodes_with_room(
        self, version_id: int, kind: SessionKind, seats: int, tags: Sequence[str]
    ) -> Sequence[NodeName]:
        rows = await self._connection.fetch(_NODES_WITH_ROOM, version_id, seats, tag_texts(tags), kind.value)
        return [NodeName(row["node_name"]) for row in rows]

    async def lock_starts(self, version_id: int) -> None:
        if self._connection.dialect == "postgres":
            await self._connection.execute(_LOCK_STARTS, _STARTS_LOCK_SPACE + version_id)

    async def unfinished_on(self, node: NodeName) -> Mapping[DeploymentId, bool]:
        rows = await self._connection.fetch(_UNFINISHED_ON, node)
        return {DeploymentId(row["request_id"]): bool(row["wanted"]) for row in rows}

    async def servers(self, request_ids: Sequence[DeploymentId]) -> Sequence[ServerSpec]:
        rows = await self._connection.fetch(_SERVERS, to_text(request_ids))
        return [_server(row["server"]) for row in rows]

    async def due(self, now: Instant, limit: int) -> Sequence[DeploymentId]:
        return [DeploymentId(row["request_id"]) for row in await self._connection.fetch(_DUE, now, limit)]

    async def postpone(self, request_id: DeploymentId, now: Instant, until: Instant) -> None:
        await self._connection.execute(_POSTPONE, request_id, now, until)

    async def page(
        self, organisation: OrganisationId, query: DeploymentQuery, request: PageRequest
    ) -> Page[Deployment]:
        count, select, values = list_statements(query)
        total = await self._connection.fetch_one(count, organisation, *values)
        assert total is not None, "an aggregate always has a row"
        rows = await self._connection.fetch(select, organisation, *values, request.limit, request.offset)
        return Page([deployment_from(row) for row in rows], total[0], request)

    async def active_after(self, organisation: OrganisationId, after: DeploymentId, limit: int) -> Sequence[Deployment]:
        return [deployment_from(row) for row in await self._connection.fetch(_ACTIVE_AFTER, organisation, after, limit)]

    async def delete(self, request_id: DeploymentId) -> None:
        await self._connection.execute(_DELETE, request_id)


def explanation_from(text: str | None) -> Explanation | None:
    """An explanation as it was written down."""
    return None if text is None else _explanation(text)


def context_from(row: Row) -> DeploymentContext:
    """The context in a row that holds exactly `CONTEXT_COLUMNS`."""
    return context_of(*row)


@lru_cache(REMEMBERED_DOCUMENTS)
def context_of(
    request_id: str,
    status: str,
    public_ip: str,
    fqdn: str,
    ports: str | None,
    location: str,
    tags: str,
    kind: str,
    sockets: int | None,
    sockets_used: int,
    joinable: bool,
    whitelisting_active: bool,
) -> DeploymentContext:
    """The context in the values of `CONTEXT_COLUMNS`. The same values give the same object, so that what others make of
    it can be remembered too: every session on a server is read with its server's context.
    """
    return DeploymentContext(
        request_id=DeploymentId(request_id),
        status=_STATUS[status],
        public_ip=public_ip,
        fqdn=fqdn,
        ports=None if ports is None else _ports(ports),
        location=_location(location),
        tags=_tags(tags),
        kind=_KIND[kind],
        sockets=sockets,
        sockets_used=sockets_used,
        joinable=bool(joinable),
        whitelisting_active=bool(whitelisting_active),
    )


def deployment_from(row: Row) -> Deployment:
    """The deployment in a row that holds every column of the table."""
    last_status, ports, crash = row["last_status"], row["ports"], row["crash"]
    return Deployment(
        request_id=DeploymentId(row["request_id"]),
        organisation=OrganisationId(row["organisation_id"]),
        version_id=row["version_id"],
        application_name=row["application_name"],
        version_name=row["version_name"],
        node_name=NodeName(row["node_name"]),
        status=DeploymentStatus(row["status"]),
        last_status=None if last_status is None else DeploymentStatus(last_status),
        wanted=bool(row["wanted"]),
        joinable=bool(row["joinable"]),
        kind=SessionKind(row["kind"]),
        sockets=row["sockets"],
        sockets_used=row["sockets_used"],
        session_count=row["session_count"],
        location=_location(row["location"]),
        public_ip=row["public_ip"],
        fqdn=row["fqdn"],
        ports=None if ports is None else _ports(ports),
        server=_server(row["server"]),
        settings=_settings(row["settings"]),
        tags=_tags(row["tags"]),
        crash=None if crash is None else _crash(crash),
        error_detail=row["error_detail"],
        created_at=Instant(row["created_at"]),
        starting_since=row["starting_since"],
        ready_at=row["ready_at"],
        stopped_at=row["stopped_at"],
        ended_at=row["ended_at"],
        empty_since=row["empty_since"],
        empty_ttl_minutes=row["empty_ttl_minutes"],
        due_at=row["due_at"],
    )


def tag_texts(tags: Sequence[str]) -> str:
    return to_text([tag_text(tag) for tag in tags]) if tags else "[]"
