"""How long a node waits before it connects again, after each way in which a connection can end."""

import random
from dataclasses import dataclass
from enum import Enum

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 2.0
"""A restarted control plane has its nodes back within this time; even a thousand of them then come one by one."""
SOUND_SECONDS = 5.0
"""A connection that lasted this long was a sound one: the next wait is a short one again."""

UNAUTHENTICATED = 4401
FORBIDDEN = 4403
REPLACED = 4409


class Ending(Enum):
    """Why a connection ended, or was not made."""

    LOST = "lost"
    REFUSED = "refused"
    """The token is not accepted."""
    REPLACED = "replaced"
    """A newer connection came up under the same name."""


def ending_of(code: int | None) -> Ending:
    """What a WebSocket close code, or the HTTP status of a refused handshake, means."""
    if code in (UNAUTHENTICATED, FORBIDDEN, 401, 403):
        return Ending.REFUSED
    return Ending.REPLACED if code == REPLACED else Ending.LOST


@dataclass
class Reconnecting:
    """Waits that grow from `FIRST_SECONDS` to `LONGEST_SECONDS`, spread so that many nodes do not come back at once.

    After a refusal or a replacement nothing changes until a person does something: those waits are long ones.
    """

    rng: random.Random
    refused_seconds: float = 10.0
    replaced_seconds: float = 30.0
    _attempt: int = 0

    def wait_seconds(self, ending: Ending, lasted_seconds: float) -> float:
        """How long to wait after a connection that lasted `lasted_seconds`."""
        if ending is Ending.REFUSED:
            return self.refused_seconds
        if ending is Ending.REPLACED:
            return self.replaced_seconds
        if lasted_seconds >= SOUND_SECONDS:
            self._attempt = 0
        longest = min(LONGEST_SECONDS, FIRST_SECONDS * (1 << self._attempt))
        self._attempt = min(self._attempt + 1, 10)
        return longest * self.rng.uniform(0.5, 1.0)
