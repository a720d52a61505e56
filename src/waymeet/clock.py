"""The system's clock: the only module that asks the operating system for the time."""

import time

from waymeet.model.instant import Instant


class SystemClock:
    """Real time."""

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000)

    def monotonic(self) -> float:
        return time.monotonic()
