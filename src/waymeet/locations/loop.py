"""The locations' reconciler: notices nodes that fall silent, forgets those that stay away, and abandoned questions."""

import asyncio
import logging

from waymeet.locations.service import HEARTBEAT_SECONDS, LocationService
from waymeet.model.errors import Unavailable

LOOKS_PER_FORGETTING = 120
"""Nodes that stay away are looked for every ten minutes."""

_log = logging.getLogger(__name__)


async def run(service: LocationService, forgotten_hours: float) -> None:
    """Look once a heartbeat, until cancelled. Nodes unseen for `forgotten_hours` are forgotten."""
    looks = 0
    while True:
        try:
            await service.mark_silent_nodes()
            await service.drop_stale_questions()
            if looks % LOOKS_PER_FORGETTING == 0:
                for name in await service.forget_unseen_nodes(forgotten_hours):
                    _log.info("forgot node %s: unseen for %g hours", name, forgotten_hours)
            looks += 1
        except Unavailable as error:
            _log.warning("nodes could not be checked: %s", error.message)
        await asyncio.sleep(HEARTBEAT_SECONDS)
