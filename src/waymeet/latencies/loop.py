"""The latencies' reconciler: keeps what is remembered within its bounds."""

import asyncio
import logging

from waymeet.latencies.service import LatencyService
from waymeet.model.errors import Unavailable

EVERY_SECONDS = 30.0

_log = logging.getLogger(__name__)


async def run(service: LatencyService) -> None:
    """Tidy up now and then, until cancelled."""
    while True:
        try:
            await service.tidy()
        except Unavailable as error:
            _log.warning("old round-trip times could not be forgotten: %s", error.message)
        await asyncio.sleep(EVERY_SECONDS)
