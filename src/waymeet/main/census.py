"""Keeps the domain metrics up to date."""

import asyncio
from collections.abc import Mapping

import structlog

from waymeet.locations.directory import Directory
from waymeet.metrics import Counts, DomainMetrics
from waymeet.model.errors import Unavailable
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore
from waymeet.store.transaction import Transaction

EVERY_SECONDS = 15.0
"""Prometheus asks every 15 s or less often by default; counting more often would only cost."""

_log = structlog.get_logger(__name__)


class Census:
    """Counts everything now and then, on a snapshot and away from the requests."""

    def __init__(self, store: SqliteStore | PostgresStore, directory: Directory, metrics: DomainMetrics) -> None:
        self._store = store
        self._directory = directory
        self._metrics = metrics

    async def run(self) -> None:
        """Count until cancelled. Without a database the last numbers stand."""
        while True:
            try:
                await self.count()
            except Unavailable as error:
                _log.warning("the metrics could not be brought up to date", reason=error.message)
            await asyncio.sleep(EVERY_SECONDS)

    async def count(self) -> None:
        """Count once."""

        async def unit(tx: Transaction) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]]:
            return await tx.census.deployments(), await tx.census.sessions(), await tx.census.webhooks()

        deployments, sessions, webhooks = await self._store.scan(unit)
        nodes = self._directory.nodes
        connected = [node for node in nodes if node.connected]
        self._metrics.counts = Counts(
            deployments=deployments,
            sessions=sessions,
            webhooks=webhooks,
            nodes_connected=len(connected),
            nodes_known=len(nodes),
            places_used=sum(node.in_use for node in nodes),
            places=sum(node.capacity for node in connected),
        )
