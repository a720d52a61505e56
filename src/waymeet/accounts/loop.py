"""The accounts' loop: writes down when tokens were last used, away from the requests that use them."""

import asyncio
import logging

from waymeet.accounts.service import AccountService
from waymeet.model.errors import Unavailable

FLUSH_SECONDS = 10.0

_log = logging.getLogger(__name__)


async def run(service: AccountService) -> None:
    """Write every `FLUSH_SECONDS`, until cancelled."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            await service.record_uses()
        except Unavailable as error:
            _log.warning("the last use of tokens could not be recorded: %s", error.message)
