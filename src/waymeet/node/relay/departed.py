"""Pairs of tokens that were good until a moment ago.

When a session ends, its players go on sending for seconds, many times a second each. They are told Invalid like anybody
else, but it must not count as guessing: it would mute their IP addresses just when their next match begins.
"""

from collections import deque


class Departed:
    """Remembers up to `capacity` departures, and forgets the oldest first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._since: dict[int, int] = {}
        # In the order of departure. A pair that came back and left again is in here twice.
        self._order: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        """How many entries it holds."""
        return len(self._order)

    def leave(self, pair: int, now: int) -> None:
        if self._capacity == 0:
            return
        if len(self._order) == self._capacity:
            oldest, since = self._order.popleft()
            if self._since.get(oldest) == since:
                del self._since[oldest]
        self._order.append((pair, now))
        self._since[pair] = now

    def come_back(self, pair: int) -> None:
        self._since.pop(pair, None)

    def left_within(self, pair: int, memory: int, now: int) -> bool:
        """Whether the pair left less than `memory` nanoseconds ago, and has not come back."""
        since = self._since.get(pair)
        return since is not None and now - since < memory
