"""Rows of measured round-trip times."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from waymeet.latencies.types import MOST_NETWORKS, OUR_NODES, Record
from waymeet.model.instant import Instant
from waymeet.model.latency import Measurement, Origin
from waymeet.store.engine import Connection, Row, Value
from waymeet.store.statement import Statement

_PREFIXES = ", ".join(f"${number}" for number in range(3, MOST_NETWORKS + 3))
_OF = Statement(
    "SELECT prefix, owner, site, ms, jitter_ms, samples, measured_at, asked_at FROM latency"
    f" WHERE owner IN ($1, $2) AND prefix IN ({_PREFIXES})"
)
_PUT = Statement(
    """
    INSERT INTO latency (prefix, owner, site_digest, site, ms, jitter_ms, samples, measured_at, asked_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (prefix, owner, site_digest) DO UPDATE SET ms = excluded.ms, jitter_ms = excluded.jitter_ms,
        samples = excluded.samples, measured_at = excluded.measured_at, asked_at = excluded.asked_at
    """
)
_COUNTS = Statement("SELECT owner, COUNT(*) AS count FROM latency GROUP BY owner")
_DROP_ASKED_BEFORE = Statement(
    "DELETE FROM latency WHERE (prefix, owner, site_digest) IN"
    " (SELECT prefix, owner, site_digest FROM latency WHERE asked_at < $1 ORDER BY asked_at LIMIT $2)"
)
_DROP_OLDEST = Statement(
    "DELETE FROM latency WHERE (prefix, owner, site_digest) IN"
    " (SELECT prefix, owner, site_digest FROM latency WHERE owner = $1 ORDER BY asked_at LIMIT $2)"
)


class LatencyRows:
    """`latencies.ports.LatencyRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of(self, prefixes: Sequence[str], owners: Sequence[str]) -> Sequence[Record]:
        if not prefixes:
            return []
        # One statement for any number: what is left over repeats the last.
        filled = [*prefixes, *[prefixes[-1]] * (MOST_NETWORKS - len(prefixes))]
        return [_record(row) for row in await self._connection.fetch(_OF, owners[0], owners[-1], *filled)]

    async def put(self, records: Iterable[Record]) -> None:
        # In one order, so that two transactions cannot wait for each other.
        for record in sorted(records, key=lambda record: (record.prefix, record.owner, record.site)):
            known = record.measurement
            figures: tuple[Value, ...] = (None, None, None, None)
            if known is not None:
                figures = (known.ms, known.jitter_ms, known.samples, known.measured_at)
            key = (record.prefix, record.owner, _digest(record.site), record.site)
            await self._connection.execute(_PUT, *key, *figures, record.asked_at)

    async def counts(self) -> Mapping[str, int]:
        return {row["owner"]: row["count"] for row in await self._connection.fetch(_COUNTS)}

    async def drop_asked_before(self, before: Instant, limit: int) -> int:
        return await self._connection.execute(_DROP_ASKED_BEFORE, before, limit)

    async def drop_oldest(self, owner: str, count: int) -> int:
        return await self._connection.execute(_DROP_OLDEST, owner, count)


def _digest(site: str) -> str:
    """A site spells out its place and may be longer than an index takes."""
    return hashlib.blake2b(site.encode(), digest_size=16).hexdigest()


def _record(row: Row) -> Record:
    prefix, owner, site, ms, jitter_ms, samples, measured_at, asked_at = row
    known = None
    if measured_at is not None:
        origin = Origin.MEASURED if owner == OUR_NODES else Origin.REPORTED
        known = Measurement(prefix, site, ms, jitter_ms, samples, origin, Instant(measured_at))
    return Record(owner, prefix, site, Instant(asked_at), known)
