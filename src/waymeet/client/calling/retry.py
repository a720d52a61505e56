"""When a call that the server turned away is made again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and how patiently, a repeatable call is made again after 429 or 503.

    The pause is what the server asks for in `Retry-After`, else `first_pause` doubled each time. A server that asks
    for more than `longest_pause` is taken at its word: the error is raised at once, with its `retry_after`.
    """

    attempts: int = 3
    """Tries in all; 1 means never again."""
    first_pause: float = 0.25
    longest_pause: float = 10.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}: at least 1, which means no second try")
        if self.first_pause < 0 or self.longest_pause < 0:
            raise ValueError("first_pause and longest_pause are seconds, 0 or more")

    def pause_after(self, tries: int, retry_after: float | None) -> float | None:
        """Seconds to wait before the next try, `None` when there shall be none."""
        if tries >= self.attempts:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.longest_pause else None
        return min(self.longest_pause, self.first_pause * 2.0 ** (tries - 1))


DEFAULT_RETRY = Retry()
ONCE = Retry(attempts=1)
"""For calls inside a loop that has a patience of its own."""


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that a `Retry-After` header asks for, in either of its forms (RFC 9110, 10.2.3); `None` without a
    usable one.

    A date is compared with the answer's own `Date`, so that the two machines' clocks need not agree.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        wait: timedelta = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())
