"""Rows of relay sessions, and of the relays' counts of changes."""

from collections.abc import Mapping, Sequence

from waymeet.model.ids import NodeName, OrganisationId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.model.relays import RelayLoad
from waymeet.relays.types import (
    DROPPED,
    RELAY_TRAFFIC,
    SET_ASIDE,
    RelayChanges,
    RelayEndpoint,
    RelaySession,
    RelayTotals,
    SalvagedSession,
)
from waymeet.store.documents import to_text
from waymeet.store.engine import Connection, Value
from waymeet.store.relay_reading import read_load, read_session, read_sessions, salvage
from waymeet.store.statement import Statement

_JOIN = Statement(
    """
    INSERT INTO relay (node_name, capacity, session_count, last_change, confirmed_change, forgotten_change)
    VALUES ($1, $2, 0, 0, 0, 0)
    ON CONFLICT (node_name) DO UPDATE SET capacity = excluded.capacity
    """
)
_MOVE = Statement(
    "UPDATE relay_session SET endpoint = $2"
    " WHERE node_name = $1 AND endpoint <> $2 AND status IN ('INITIALIZING', 'READY') RETURNING session_id"
)
_CLOSE = Statement("UPDATE relay SET capacity = 0 WHERE node_name = $1 AND capacity > 0")
_ROOMS = Statement(
    "SELECT node_name, relay.capacity - session_count AS room FROM relay JOIN node ON node.name = node_name"
    " WHERE connected AND session_count < relay.capacity"
)
_OCCUPIED = Statement("SELECT node_name FROM relay WHERE session_count > 0 ORDER BY node_name")
_RESERVE = Statement(
    "UPDATE relay SET session_count = session_count + 1, last_change = last_change + 1"
    " WHERE node_name = $1 AND session_count < capacity"
    " AND EXISTS (SELECT 1 FROM node WHERE node.name = $1 AND node.connected) RETURNING last_change"
)
_NEXT_CHANGE = Statement("UPDATE relay SET last_change = last_change + 1 WHERE node_name = $1 RETURNING last_change")
_RELEASE = Statement(
    "UPDATE relay SET session_count = CASE WHEN session_count > 0 THEN session_count - 1 ELSE 0 END,"
    " last_change = last_change + 1 WHERE node_name = $1 RETURNING last_change"
)
# On PostgreSQL exactly one row, of nulls when there is none, so that many callers can share a round trip.
_CONFIRMED = Statement(
    "SELECT confirmed_change FROM (SELECT) AS always LEFT JOIN relay ON node_name = $1",
    sqlite="SELECT confirmed_change FROM relay WHERE node_name = $1",
)
_LAST_CHANGE = Statement("SELECT last_change FROM relay WHERE node_name = $1")
_CONFIRM = Statement(
    "UPDATE relay SET confirmed_change = CASE WHEN last_change < $2 THEN last_change ELSE $2 END"
    " WHERE node_name = $1 AND confirmed_change < $2 AND confirmed_change < last_change"
)
_FORGOTTEN = Statement("SELECT forgotten_change FROM relay WHERE node_name = $1")
_FORGET_THROUGH = Statement("UPDATE relay SET forgotten_change = $2 WHERE node_name = $1 AND forgotten_change < $2")
_LOAD_TEXT = "SELECT load FROM relay WHERE node_name = $1"
_LOAD = Statement(f"{_LOAD_TEXT} FOR UPDATE", sqlite=_LOAD_TEXT)
_RECORD_LOAD = Statement("UPDATE relay SET load = $2 WHERE node_name = $1")
_COUNT_MORE = Statement(
    """
    INSERT INTO relay_count (name, count)
    SELECT key, CAST(value AS BIGINT) FROM json_each_text($1::json) ORDER BY key
    ON CONFLICT (name) DO UPDATE SET count = relay_count.count + excluded.count
    """,
    # Without the WHERE, SQLite takes the ON for that of a join.
    sqlite="""
    INSERT INTO relay_count (name, count) SELECT key, value FROM json_each($1) WHERE TRUE ORDER BY key
    ON CONFLICT (name) DO UPDATE SET count = relay_count.count + excluded.count
    """,
)
_COUNTS = Statement("SELECT name, count FROM relay_count")
_CONNECTED = Statement(
    "SELECT relay.capacity, relay.load FROM relay JOIN node ON node.name = node_name"
    " WHERE connected AND relay.capacity > 0"
)

_NAMES = (
    "session_id",
    "organisation_id",
    "node_name",
    "status",
    "token",
    "users",
    "revoked",
    "owner",
    "endpoint",
    "host_name",
    "webhook_url",
    "error",
    "change_number",
    "created_at",
    "ended_at",
    "due_at",
)
_COLUMNS = ", ".join(_NAMES)
_INSERT = Statement(
    f"INSERT INTO relay_session ({_COLUMNS}) VALUES ({', '.join(f'${n}' for n in range(1, len(_NAMES) + 1))})"
)
_THIS_ONE = "session_id = $2 AND organisation_id = $1 AND ended_at IS NULL"
_FIND_TEXT = f"SELECT {_COLUMNS} FROM relay_session WHERE {_THIS_ONE}"
# As `_CONFIRMED`.
_FIND = Statement(
    f"SELECT {_COLUMNS} FROM (SELECT) AS always LEFT JOIN relay_session ON {_THIS_ONE}", sqlite=_FIND_TEXT
)
_LOCK = Statement(f"{_FIND_TEXT} FOR UPDATE", sqlite=_FIND_TEXT)
_LOCK_MANY = Statement(
    f"SELECT {_COLUMNS} FROM relay_session WHERE session_id IN (SELECT json_array_elements_text($1::json))"
    " ORDER BY session_id FOR UPDATE",
    sqlite=f"SELECT {_COLUMNS} FROM relay_session WHERE session_id IN (SELECT value FROM json_each($1))"
    " ORDER BY session_id",
)
_SAVE = Statement(
    """
    UPDATE relay_session SET status = $2, users = $3, revoked = $4, owner = $5, error = $6, change_number = $7,
        ended_at = $8, due_at = $9
    WHERE session_id = $1
    """
)
_REWRITE = Statement(
    f"UPDATE relay_session SET {', '.join(f'{name} = ${n}' for n, name in enumerate(_NAMES, 1) if n > 1)}"
    " WHERE session_id = $1"
)
_RECOUNT = Statement(
    "UPDATE relay SET session_count = (SELECT COUNT(*) FROM relay_session WHERE relay_session.node_name = $1"
    " AND status IN ('INITIALIZING', 'READY')) WHERE node_name = $1"
)
_COUNT = Statement("SELECT COUNT(*) FROM relay_session WHERE organisation_id = $1 AND ended_at IS NULL")
_PAGE = Statement(
    f"SELECT {_COLUMNS} FROM relay_session WHERE organisation_id = $1 AND ended_at IS NULL"
    " ORDER BY created_at DESC, session_id DESC LIMIT $2 OFFSET $3"
)
_TOKEN_TAKEN = Statement("SELECT 1 FROM relay_session WHERE token = $1 LIMIT 1")
_WANTED_ON = Statement(
    f"SELECT {_COLUMNS} FROM relay_session WHERE node_name = $1 AND session_id > $2"
    " AND status IN ('INITIALIZING', 'READY') ORDER BY session_id LIMIT $3"
)
_CHANGED = Statement(
    f"SELECT {_COLUMNS} FROM relay_session WHERE node_name = $1 AND change_number > $2 ORDER BY change_number LIMIT $3"
)
_UNCONFIRMED = Statement(
    "SELECT session_id FROM relay_session WHERE node_name = $1 AND status = 'INITIALIZING' AND change_number <= $2"
    " ORDER BY change_number LIMIT $3"
)
_IS_INITIALIZING = "status = 'INITIALIZING' AND change_number <= $2"
_MAKE_READY = Statement(
    f"""
    UPDATE relay_session SET status = 'READY', due_at = NULL
    WHERE session_id IN (
        SELECT session_id FROM relay_session
        WHERE session_id IN (SELECT json_array_elements_text($1::json)) AND {_IS_INITIALIZING}
        ORDER BY session_id FOR UPDATE
    )
    RETURNING {_COLUMNS}
    """,
    sqlite="UPDATE relay_session SET status = 'READY', due_at = NULL"
    f" WHERE session_id IN (SELECT value FROM json_each($1)) AND {_IS_INITIALIZING} RETURNING {_COLUMNS}",
)
_ON_NODE = Statement(
    "SELECT session_id FROM relay_session WHERE node_name = $1 AND status IN ('INITIALIZING', 'READY') LIMIT $2"
)
_DUE = Statement("SELECT session_id FROM relay_session WHERE due_at <= $1 ORDER BY due_at LIMIT $2")
_DELETE = Statement(
    "DELETE FROM relay_session WHERE session_id IN (SELECT json_array_elements_text($1::json))",
    sqlite="DELETE FROM relay_session WHERE session_id IN (SELECT value FROM json_each($1))",
)


class RelayRows:
    """`relays.ports.RelayRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def join(self, node: NodeName, capacity: int, endpoint: RelayEndpoint) -> Sequence[SessionId]:
        # Sessions before the row of their relay, as everywhere.
        moved = await self._connection.fetch(_MOVE, node, to_text(endpoint))
        await self._connection.execute(_JOIN, node, capacity)
        return [SessionId(row[0]) for row in moved]

    async def close(self, node: NodeName) -> None:
        await self._connection.execute(_CLOSE, node)

    async def rooms(self) -> dict[NodeName, int]:
        return {NodeName(row["node_name"]): row["room"] for row in await self._connection.fetch(_ROOMS)}

    async def occupied(self) -> Sequence[NodeName]:
        return [NodeName(row[0]) for row in await self._connection.fetch(_OCCUPIED)]

    async def reserve(self, node: NodeName) -> int | None:
        row = await self._connection.fetch_one(_RESERVE, node)
        return None if row is None else int(row[0])

    async def next_change(self, node: NodeName) -> int:
        row = await self._connection.fetch_one(_NEXT_CHANGE, node)
        return 0 if row is None else int(row[0])

    async def release(self, node: NodeName) -> int:
        row = await self._connection.fetch_one(_RELEASE, node)
        return 0 if row is None else int(row[0])

    async def confirmed(self, node: NodeName) -> int:
        row = await self._connection.fetch_one(_CONFIRMED, node)
        return 0 if row is None or row[0] is None else int(row[0])

    async def last_change(self, node: NodeName) -> int:
        row = await self._connection.fetch_one(_LAST_CHANGE, node)
        return 0 if row is None else int(row[0])

    async def confirm(self, node: NodeName, change: int) -> None:
        await self._connection.execute(_CONFIRM, node, change)

    async def insert(self, session: RelaySession) -> None:
        await self._connection.execute(_INSERT, *_values(session))

    async def find(self, organisation: OrganisationId, session_id: SessionId) -> RelaySession | None:
        row = await self._connection.fetch_one(_FIND, organisation, session_id)
        return read_session(row)

    async def lock(self, organisation: OrganisationId, session_id: SessionId) -> RelaySession | None:
        row = await self._connection.fetch_one(_LOCK, organisation, session_id)
        return read_session(row)

    async def lock_many(self, session_ids: Sequence[SessionId]) -> Sequence[RelaySession]:
        return read_sessions(await self._connection.fetch(_LOCK_MANY, to_text(list(session_ids))))

    async def salvage(self, session_ids: Sequence[SessionId]) -> Sequence[SalvagedSession]:
        return [salvage(row) for row in await self._connection.fetch(_LOCK_MANY, to_text(list(session_ids)))]

    async def rewrite(self, session: RelaySession) -> None:
        await self._connection.execute(_REWRITE, *_values(session))
        # The row of the relay is held since the session got the number of its change: nobody comes in between.
        await self._connection.execute(_RECOUNT, session.node_name)

    async def save(self, session: RelaySession) -> None:
        await self._connection.execute(
            _SAVE,
            session.session_id,
            session.status.value,
            to_text(session.users),
            to_text(session.revoked),
            session.owner,
            session.error,
            session.change,
            session.ended_at,
            session.due_at,
        )

    async def page(self, organisation: OrganisationId, request: PageRequest) -> Page[RelaySession]:
        count = await self._connection.fetch_one(_COUNT, organisation)
        assert count is not None, "an aggregate always has a row"
        rows = await self._connection.fetch(_PAGE, organisation, request.limit, request.offset)
        return Page(read_sessions(rows), count[0], request)

    async def token_taken(self, token: int) -> bool:
        return await self._connection.fetch_one(_TOKEN_TAKEN, token) is not None

    async def wanted_on(self, node: NodeName, after: SessionId, limit: int) -> Sequence[RelaySession]:
        return read_sessions(await self._connection.fetch(_WANTED_ON, node, after, limit))

    async def changes_after(self, node: NodeName, change: int, limit: int) -> RelayChanges:
        changed = read_sessions(await self._connection.fetch(_CHANGED, node, change, limit))
        # Read second: whatever was deleted before the rows were read, this number knows of it.
        forgotten = await self._connection.fetch_one(_FORGOTTEN, node)
        return RelayChanges(
            through=changed[-1].change if changed else change,
            complete=forgotten is None or forgotten[0] <= change,
            sessions=tuple(session.spec for session in changed if session.wanted),
            removed=tuple(session.session_id for session in changed if not session.wanted),
        )

    async def unconfirmed_through(self, node: NodeName, change: int, limit: int) -> Sequence[SessionId]:
        return [SessionId(row[0]) for row in await self._connection.fetch(_UNCONFIRMED, node, change, limit)]

    async def make_ready(self, session_ids: Sequence[SessionId], change: int) -> Sequence[RelaySession]:
        return read_sessions(await self._connection.fetch(_MAKE_READY, to_text(list(session_ids)), change))

    async def on_node(self, node: NodeName, limit: int) -> Sequence[SessionId]:
        return [SessionId(row[0]) for row in await self._connection.fetch(_ON_NODE, node, limit)]

    async def due(self, now: Instant, limit: int) -> Sequence[SessionId]:
        return [SessionId(row[0]) for row in await self._connection.fetch(_DUE, now, limit)]

    async def forget(self, sessions: Sequence[RelaySession]) -> None:
        await self._connection.execute(_DELETE, to_text([session.session_id for session in sessions]))
        through: dict[NodeName, int] = {}
        for session in sessions:
            through[session.node_name] = max(session.change, through.get(session.node_name, 0))
        for node, change in sorted(through.items()):
            await self._connection.execute(_FORGET_THROUGH, node, change)

    async def load(self, node: NodeName) -> RelayLoad | None:
        row = await self._connection.fetch_one(_LOAD, node)
        return None if row is None else read_load(row["load"])

    async def record_load(self, node: NodeName, load: RelayLoad) -> None:
        await self._connection.execute(_RECORD_LOAD, node, to_text(load))

    async def count(self, counts: Mapping[str, int]) -> None:
        await self._connection.execute(_COUNT_MORE, to_text(counts))

    async def totals(self) -> RelayTotals:
        counts = {row["name"]: row["count"] for row in await self._connection.fetch(_COUNTS)}
        connected = await self._connection.fetch(_CONNECTED)
        return RelayTotals(
            relays=len(connected),
            places=sum(row["capacity"] for row in connected),
            bindings=sum(load.bindings for row in connected if (load := read_load(row["load"])) is not None),
            traffic={name: counts.get(name, 0) for name in RELAY_TRAFFIC},
            drops={name.removeprefix(DROPPED): count for name, count in counts.items() if name.startswith(DROPPED)},
            set_aside=counts.get(SET_ASIDE, 0),
        )


def _values(session: RelaySession) -> tuple[Value, ...]:
    """In the order of `_NAMES`."""
    return (
        session.session_id,
        session.organisation,
        session.node_name,
        session.status.value,
        session.token,
        to_text(session.users),
        to_text(session.revoked),
        session.owner,
        to_text(session.endpoint),
        session.host_name,
        session.webhook_url,
        session.error,
        session.change,
        session.created_at,
        session.ended_at,
        session.due_at,
    )
