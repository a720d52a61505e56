"""How much is probed: at once, per second, and each address how often. Pure: the time comes in."""

from collections import OrderedDict

TARGET_SECONDS = 2.0
"""Between two probes of one address. The control plane asks far less often; several of them might not know of each other."""


class ProbeLimits:
    """Admits probes within three bounds. What it remembers is bounded by the rate."""

    def __init__(self, *, at_once: int, per_second: float, target_seconds: float = TARGET_SECONDS) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._target_seconds = target_seconds
        self._running = 0
        self._tokens = per_second
        self._filled_at: float | None = None
        self._begun: OrderedDict[object, float] = OrderedDict()

    def admit(self, target: object, now: float) -> bool:
        """Whether a probe of `target` may begin at `now` (monotonic seconds); if so it counts until `done`."""
        if self._filled_at is not None:
            self._tokens = min(self._per_second, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        while self._begun and next(iter(self._begun.values())) <= now - self._target_seconds:
            self._begun.popitem(last=False)
        if self._running >= self._at_once or self._tokens < 1 or target in self._begun:
            return False
        self._tokens -= 1
        self._running += 1
        self._begun[target] = now
        return True

    def done(self) -> None:
        """A probe that was admitted has ended."""
        self._running -= 1
