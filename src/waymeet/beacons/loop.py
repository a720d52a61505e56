"""Checks every beacon every few seconds. Each control plane process does so for itself: what it lists, it can reach."""

import asyncio
import logging
from typing import NoReturn

from waymeet.beacons.health import BeaconHealth
from waymeet.beacons.ports import Nodes, Prober
from waymeet.beacons.types import Beacon, beacons_of
from waymeet.model.instant import Clock

log = logging.getLogger(__name__)


class BeaconLoop:
    """Keeps `health` true."""

    def __init__(self, nodes: Nodes, health: BeaconHealth, prober: Prober, clock: Clock) -> None:
        self._nodes = nodes
        self._health = health
        self._prober = prober
        self._clock = clock
        self._news = asyncio.Event()
        nodes.on_refresh(self._news.set)

    async def run(self) -> NoReturn:
        """Check until cancelled. A node's beacon is checked as soon as the node is known."""
        try:
            while True:
                self._news.clear()
                await self.check()
                await self._wait()
        finally:
            await self._prober.close()

    async def check(self) -> None:
        """Check once what is due."""
        self._health.know(beacons_of(self._nodes.nodes, self._clock.now()))
        due = self._health.due(self._clock.monotonic())
        if not due:
            return
        answered = await self._prober.probe([beacon.endpoint for beacon in due])
        now = self._clock.monotonic()
        for beacon in due:
            if beacon.endpoint in answered:
                self._answered(beacon, now)
            elif self._health.missed(beacon, now):
                log.warning(
                    "node %s: its beacon no longer answers at %s UDP port %d, and is not listed until it does",
                    beacon.node,
                    *beacon.endpoint,
                )

    def _answered(self, beacon: Beacon, now: float) -> None:
        if not self._health.is_listed(beacon):
            log.info("node %s: its beacon answers, and is listed", beacon.node)
        self._health.answered(beacon, now)

    async def _wait(self) -> None:
        """Until the next check is due, or the nodes have changed."""
        try:
            async with asyncio.timeout(self._health.seconds_to_next(self._clock.monotonic())):
                await self._news.wait()
        except TimeoutError:
            pass
