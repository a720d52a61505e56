"""The locations' reconciler: notices nodes that fell silent, and forgets questions nobody waits for."""

import asyncio
import logging

from waymeet.locations.service import HEARTBEAT_SECONDS, LocationService
from waymeet.model.errors import Unavailable

_log = logging.getLogger(__name__)


async def run(service: LocationService) -> None:
    """Look once a heartbeat, until cancelled."""
    while True:
        try:
            await service.mark_silent_nodes()
            await service.drop_stale_questions()
        except Unavailable as error:
            _log.warning("nodes could not be checked: %s", error.message)
        await asyncio.sleep(HEARTBEAT_SECONDS)
