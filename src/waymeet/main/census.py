"""Brings the domain metrics up to date when somebody asks for them."""

import asyncio
from dataclasses import replace

import structlog

from waymeet.locations.directory import Directory
from waymeet.metrics import Counts, DomainMetrics, RelayCounts
from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore
from waymeet.store.transaction import Transaction

EVERY_SECONDS = 10.0
"""Less than the 15 s after which Prometheus asks again by default."""
PAUSE_PER_SECOND = 20.0
"""What is remembered may be millions of rows: counting takes at most a twentieth of one core."""
PATIENCE_SECONDS = 5.0
"""For one count; after that whoever asks gets the last numbers. Half of what Prometheus allows for its question."""

_DIRECTIONS = ("received", "sent")

_log = structlog.get_logger(__name__)


class Census:
    """Counts everything when it is asked to, on a snapshot and away from the requests. A server that nobody watches does
    not count.
    """

    def __init__(
        self, store: SqliteStore | PostgresStore, directory: Directory, metrics: DomainMetrics, clock: Clock
    ) -> None:
        self._store = store
        self._directory = directory
        self._metrics = metrics
        self._clock = clock
        self._due = clock.monotonic()
        self._counting: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Count, unless that was done a moment ago; whoever asks meanwhile waits for the same count.

        Without a database the last numbers stand. Takes at most `PATIENCE_SECONDS`.
        """
        if self._counting is None:
            if self._clock.monotonic() < self._due:
                return
            self._counting = asyncio.create_task(self._count_and_pause())
        await asyncio.wait([self._counting], timeout=PATIENCE_SECONDS)

    async def stop(self) -> None:
        """Break off a count that is under way."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)

    async def _count_and_pause(self) -> None:
        began = self._clock.monotonic()
        try:
            await self.count()
        except Unavailable as error:
            _log.warning("the metrics could not be brought up to date", reason=error.message)
        except Exception as error:
            _log.error("the metrics could not be brought up to date", exc_info=error)
        finally:
            ended = self._clock.monotonic()
            self._due = ended + max(EVERY_SECONDS, PAUSE_PER_SECOND * (ended - began))
            self._counting = None

    async def count(self) -> None:
        """Count once."""

        async def unit(tx: Transaction) -> Counts:
            totals = await tx.relays.totals()
            return Counts(
                deployments=await tx.census.deployments(),
                sessions=await tx.census.sessions(),
                lobbies=await tx.census.lobbies(),
                rooms=await tx.census.rooms(),
                webhooks=await tx.census.webhooks(),
                relays=RelayCounts(
                    sessions=await tx.census.relay_sessions(),
                    connected=totals.relays,
                    places=totals.places,
                    bindings=totals.bindings,
                    packets={direction: totals.traffic[f"{direction}_packets"] for direction in _DIRECTIONS},
                    bytes={direction: totals.traffic[f"{direction}_bytes"] for direction in _DIRECTIONS},
                    drops=totals.drops,
                    set_aside=totals.set_aside,
                ),
            )

        counted = await self._store.scan(unit)
        nodes = self._directory.nodes
        connected = [node for node in nodes if node.connected]
        self._metrics.counts = replace(
            counted,
            nodes_connected=len(connected),
            nodes_known=len(nodes),
            places_used=sum(node.in_use for node in nodes),
            places=sum(node.capacity for node in connected),
        )
