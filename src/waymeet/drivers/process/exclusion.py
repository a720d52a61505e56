"""One driver at a time in a directory."""

import asyncio
import fcntl
import os
from pathlib import Path

from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock

_PREDECESSOR_SECONDS = 0.1


async def exclude_others(directory: Path, clock: Clock, patience: float) -> int:
    """Take the directory for ourselves: a descriptor, to be closed when we are done with it.

    A predecessor on its way out gets `patience` seconds to let go of it. Raises `Unavailable` after that, and `OSError`.
    """
    lock = os.open(directory / "driver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = clock.monotonic() + patience
        while not _is_ours(lock):
            if clock.monotonic() >= deadline:
                raise Unavailable(
                    f"directory: another node runs its servers in {directory}; stop it, or give this one "
                    "a data directory of its own"
                )
            await asyncio.sleep(_PREDECESSOR_SECONDS)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _is_ours(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
