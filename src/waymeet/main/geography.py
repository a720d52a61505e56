"""Keeps the geo data open at its newest, and says how it is."""

import asyncio

import structlog

from waymeet.geo.database import GeoDatabase, GeoState
from waymeet.metrics import DomainMetrics
from waymeet.model.instant import Clock

EVERY_SECONDS = 5.0
"""Between two looks at the files, each some microseconds long."""
_DAY = 86_400

_log = structlog.get_logger(__name__)


class GeographyWatch:
    """Opens geo data that changed, and tells the log, the metrics and `/readyz` about it."""

    def __init__(self, database: GeoDatabase, clock: Clock, metrics: DomainMetrics) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._told: GeoState | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Look once. In a thread, since files that are not ours are copied."""
        await asyncio.to_thread(self._database.refresh)
        state = self._database.state
        now = self._clock.now()
        self._metrics.geo_age_seconds = age = state.age_seconds(now)
        if state == self._told:
            return
        before, self._told = self._told, state
        if age is not None and (before is None or before.files != state.files):
            _log.info("geo data is open", files=[str(file.path) for file in state.files], age_days=age // _DAY)
        for problem in state.problems:
            if before is None or problem not in before.problems:
                _log.warning("geo data", problem=problem)

    async def notice(self) -> str | None:
        """For `/readyz`: what is wrong, in words; `None` when nothing is."""
        return "; ".join(self._database.state.problems) or None
