"""Rows of webhook deliveries, and of the secrets that sign them."""

from collections.abc import Sequence

import msgspec

from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.paging import Page, PageRequest
from waymeet.store.engine import Connection, Row
from waymeet.store.statement import Statement
from waymeet.webhooks.types import (
    Attempt,
    Backlog,
    Delivery,
    DeliveryQuery,
    DeliveryStatus,
    Lease,
    NewDelivery,
    SigningSecrets,
    Verdict,
)

_COLUMNS = """
    sequence, id, organisation_id, object_key, event_type, url, body, status, attempts, attempt_log, replay_of, created_at,
    finished_at, due_at
    """

# PostgreSQL sees in a statement only what was committed before the statement began. The lock therefore has to be a
# statement of its own, before the one that looks at the queue. On SQLite the writer is alone anyway.
_LOCK_QUEUE = Statement("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")

# Only the head of a queue has a due time, so that a claim never has to look at what waits behind it.
_APPEND = Statement(
    """
    INSERT INTO webhook_delivery (id, organisation_id, object_key, event_type, url, host, body, replay_of, created_at,
        status, attempts, attempt_log, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', 0, '[]',
        CASE WHEN EXISTS (
            SELECT 1 FROM webhook_delivery AS ahead
            WHERE ahead.object_key = $3 AND ahead.url = $5 AND ahead.finished_at IS NULL
        ) THEN NULL ELSE CAST($9 AS BIGINT) END)
    """
)
# Counted in an index, which has nothing in it but what is pending.
_RECEIVERS_BEYOND = Statement(
    """
    SELECT organisation_id, host, COUNT(*) AS pending FROM webhook_delivery WHERE finished_at IS NULL
    GROUP BY organisation_id, host HAVING COUNT(*) > $1 LIMIT 100
    """
)
_ORGANISATIONS_BEYOND = Statement(
    """
    SELECT organisation_id, COUNT(*) AS pending FROM webhook_delivery WHERE finished_at IS NULL
    GROUP BY organisation_id HAVING COUNT(*) > $1 LIMIT 100
    """
)
_TO_HOST = "FROM webhook_delivery WHERE organisation_id = $1 AND host = $2 AND finished_at IS NULL"
_TO_ALL = "FROM webhook_delivery WHERE organisation_id = $1 AND finished_at IS NULL"
_LAST_TO_HOST = Statement(f"SELECT sequence {_TO_HOST} ORDER BY sequence LIMIT 1 OFFSET $3")
_LAST_TO_ALL = Statement(f"SELECT sequence {_TO_ALL} ORDER BY sequence LIMIT 1 OFFSET $2")
_OLDEST_TO_HOST = Statement(f"SELECT {_COLUMNS} {_TO_HOST} AND sequence <= $3 ORDER BY sequence LIMIT $4")
_OLDEST_TO_ALL = Statement(f"SELECT {_COLUMNS} {_TO_ALL} AND sequence <= $2 ORDER BY sequence LIMIT $3")
_GIVE_UP = Statement(
    """
    UPDATE webhook_delivery SET status = $2, attempts = $3, attempt_log = $4, finished_at = $5, due_at = NULL,
        lease_owner = NULL, lease_token = NULL
    WHERE sequence = $1 AND finished_at IS NULL
    """
)
_SETTLE = Statement(
    """
    UPDATE webhook_delivery SET status = $3, attempts = $4, attempt_log = $5, finished_at = $6, due_at = $7,
        lease_owner = NULL, lease_token = NULL
    WHERE sequence = $1 AND lease_token = $2
    """
)
_PROMOTE = Statement(
    """
    UPDATE webhook_delivery SET due_at = $3
    WHERE due_at IS NULL AND sequence = (
        SELECT MIN(waiting.sequence) FROM webhook_delivery AS waiting
        WHERE waiting.object_key = $1 AND waiting.url = $2 AND waiting.finished_at IS NULL
    )
    """
)
# Jumps from one host to the next through the index, however many deliveries each of them has.
_DUE_HOSTS = Statement(
    """
    WITH RECURSIVE due (host) AS (
        SELECT MIN(host) FROM webhook_delivery WHERE due_at <= $1
        UNION ALL
        SELECT (SELECT MIN(further.host) FROM webhook_delivery AS further
                WHERE further.due_at <= $1 AND further.host > due.host)
        FROM due WHERE due.host IS NOT NULL
    )
    SELECT host FROM due WHERE host IS NOT NULL LIMIT $2
    """
)
_NEXT_DUE = Statement("SELECT MIN(due_at) AS due_at FROM webhook_delivery WHERE due_at > $1")
_CLAIM = f"""
    UPDATE webhook_delivery SET lease_owner = $3, lease_token = $4, due_at = $5
    WHERE sequence IN (
        SELECT sequence FROM webhook_delivery WHERE host = $1 AND due_at <= $2
        ORDER BY due_at, sequence LIMIT $6 {{lock}}
    )
    RETURNING {_COLUMNS}
    """
_CLAIM_DUE = Statement(_CLAIM.format(lock="FOR UPDATE SKIP LOCKED"), sqlite=_CLAIM.format(lock=""))
_RELEASE = Statement(
    """
    UPDATE webhook_delivery SET due_at = $3, lease_owner = NULL, lease_token = NULL
    WHERE sequence = $1 AND lease_token = $2
    """
)
_FIND = Statement(f"SELECT {_COLUMNS} FROM webhook_delivery WHERE id = $1 AND organisation_id = $2")
_MATCHING = """
    FROM webhook_delivery WHERE organisation_id = $1
        AND (CAST($2 AS TEXT) IS NULL OR status = $2)
        AND (CAST($3 AS TEXT) IS NULL OR object_key = $3)
        AND (CAST($4 AS TEXT) IS NULL OR event_type = $4)
    """
_COUNT = Statement(f"SELECT COUNT(*) AS total {_MATCHING}")
_PAGE = Statement(f"SELECT {_COLUMNS} {_MATCHING} ORDER BY sequence DESC LIMIT $5 OFFSET $6")
_PURGE = Statement(
    """
    DELETE FROM webhook_delivery WHERE sequence IN (
        SELECT sequence FROM webhook_delivery WHERE finished_at < $1 ORDER BY finished_at LIMIT $2
    )
    """
)
_SECRETS = Statement(
    "SELECT webhook_secret, previous_webhook_secret, webhook_secret_rotated_at FROM organisation WHERE id = $1"
)
_ROTATE = Statement(
    """
    UPDATE organisation
    SET previous_webhook_secret = webhook_secret, webhook_secret = $2, webhook_secret_rotated_at = $3
    WHERE id = $1
    """
)

_encoder = msgspec.json.Encoder()
_attempts = msgspec.json.Decoder(tuple[Attempt, ...])


class WebhookRows:
    """`webhooks.ports.WebhookRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def append(self, delivery: NewDelivery, host: str) -> None:
        await self._lock_queue(delivery)
        await self._connection.execute(
            _APPEND,
            delivery.id,
            delivery.organisation,
            delivery.object_key,
            delivery.event_type,
            delivery.url,
            host,
            delivery.body,
            delivery.replay_of,
            delivery.created_at,
        )

    async def receivers_beyond(self, bound: int) -> Sequence[Backlog]:
        backlogs = []
        for row in await self._connection.fetch(_RECEIVERS_BEYOND, bound):
            key = OrganisationId(row["organisation_id"]), row["host"]
            last = await self._connection.fetch_one(_LAST_TO_HOST, *key, row["pending"] - bound - 1)
            if last is not None:
                backlogs.append(Backlog(*key, last["sequence"]))
        return backlogs

    async def organisations_beyond(self, bound: int) -> Sequence[Backlog]:
        backlogs = []
        for row in await self._connection.fetch(_ORGANISATIONS_BEYOND, bound):
            organisation = OrganisationId(row["organisation_id"])
            last = await self._connection.fetch_one(_LAST_TO_ALL, organisation, row["pending"] - bound - 1)
            if last is not None:
                backlogs.append(Backlog(organisation, None, last["sequence"]))
        return backlogs

    async def oldest_of(self, backlog: Backlog, limit: int) -> Sequence[Delivery]:
        if backlog.host is None:
            rows = await self._connection.fetch(_OLDEST_TO_ALL, backlog.organisation, backlog.last, limit)
        else:
            rows = await self._connection.fetch(
                _OLDEST_TO_HOST, backlog.organisation, backlog.host, backlog.last, limit
            )
        return [_delivery(row) for row in rows]

    async def give_up(self, delivery: Delivery, verdict: Verdict, now: Instant) -> bool:
        await self._lock_queue(delivery)
        touched = await self._connection.execute(
            _GIVE_UP, delivery.sequence, verdict.status, verdict.attempts, _log(verdict), verdict.finished_at
        )
        if touched:
            await self._connection.execute(_PROMOTE, delivery.object_key, delivery.url, now)
        return touched == 1

    async def due_hosts(self, now: Instant, limit: int) -> Sequence[str]:
        return [row["host"] for row in await self._connection.fetch(_DUE_HOSTS, now, limit)]

    async def next_due(self, now: Instant) -> Instant | None:
        row = await self._connection.fetch_one(_NEXT_DUE, now)
        return None if row is None or row["due_at"] is None else Instant(row["due_at"])

    async def claim(self, host: str, now: Instant, lease: Lease, limit: int) -> Sequence[Delivery]:
        rows = await self._connection.fetch(_CLAIM_DUE, host, now, lease.owner, lease.token, lease.until, limit)
        return [_delivery(row) for row in rows]

    async def settle(self, delivery: Delivery, lease_token: str, verdict: Verdict, now: Instant) -> bool:
        await self._lock_queue(delivery)
        touched = await self._connection.execute(
            _SETTLE,
            delivery.sequence,
            lease_token,
            verdict.status,
            verdict.attempts,
            _log(verdict),
            verdict.finished_at,
            verdict.due_at,
        )
        if touched and verdict.finished_at is not None:
            await self._connection.execute(_PROMOTE, delivery.object_key, delivery.url, now)
        return touched == 1

    async def release(self, delivery: Delivery, lease_token: str, now: Instant) -> None:
        await self._connection.execute(_RELEASE, delivery.sequence, lease_token, now)

    async def find(self, organisation: OrganisationId, delivery_id: str) -> Delivery | None:
        row = await self._connection.fetch_one(_FIND, delivery_id, organisation)
        return None if row is None else _delivery(row)

    async def page(self, organisation: OrganisationId, query: DeliveryQuery, request: PageRequest) -> Page[Delivery]:
        narrowed = (organisation, query.status, query.object_key, query.event_type)
        count = await self._connection.fetch_one(_COUNT, *narrowed)
        rows = await self._connection.fetch(_PAGE, *narrowed, request.limit, request.offset)
        return Page([_delivery(row) for row in rows], 0 if count is None else count["total"], request)

    async def purge(self, before: Instant, limit: int) -> int:
        return await self._connection.execute(_PURGE, before, limit)

    async def secrets(self, organisation: OrganisationId) -> SigningSecrets | None:
        row = await self._connection.fetch_one(_SECRETS, organisation)
        if row is None:
            return None
        return SigningSecrets(row["webhook_secret"], row["previous_webhook_secret"], row["webhook_secret_rotated_at"])

    async def rotate_secret(self, organisation: OrganisationId, secret: str, now: Instant) -> bool:
        return await self._connection.execute(_ROTATE, organisation, secret, now) == 1

    async def _lock_queue(self, delivery: NewDelivery) -> None:
        if self._connection.dialect == "postgres":
            await self._connection.fetch_one(_LOCK_QUEUE, f"webhooks {delivery.object_key} {delivery.url}")


def _log(verdict: Verdict) -> str:
    return _encoder.encode(verdict.attempt_log).decode()


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        organisation=OrganisationId(row["organisation_id"]),
        object_key=row["object_key"],
        event_type=row["event_type"],
        url=row["url"],
        body=row["body"],
        created_at=row["created_at"],
        replay_of=row["replay_of"],
        sequence=row["sequence"],
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        attempt_log=_attempts.decode(row["attempt_log"]),
        finished_at=row["finished_at"],
        due_at=row["due_at"],
    )
