"""Rows of which one that nobody can act on holds up none of the others."""

import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from waymeet.lobbies.ports import LobbyStore, LobbyTransaction
from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock, Instant, after

BACK_OFF_SECONDS = 60.0
"""How long a row is left alone that could not be acted on: a bug, or something in it that nobody can read."""

Key = TypeVar("Key", bound=Hashable)

_log = logging.getLogger(__name__)


class Apart(Generic[Key]):
    """Remembers which rows to leave alone, and for how long. Bounded by the number of rows."""

    def __init__(self, noun: str, store: LobbyStore, clock: Clock) -> None:
        self._noun = noun
        self._store = store
        self._clock = clock
        self._until: dict[Key, Instant] = {}

    @property
    def count(self) -> int:
        """How many are left alone: whoever looks for some to act on looks for so many more."""
        self._forget()
        return len(self._until)

    def free(self, keys: Iterable[Key], most: int) -> list[Key]:
        """The first `most` of the keys that are not left alone."""
        self._forget()
        return [key for key in keys if key not in self._until][:most]

    def _forget(self) -> None:
        now = self._clock.now()
        self._until = {key: until for key, until in self._until.items() if until > now}

    def leave_alone(self, key: Key, fault: BaseException) -> None:
        """Say why, and for how long."""
        _log.error("%s %s is left alone for %g s", self._noun, key, BACK_OFF_SECONDS, exc_info=fault)
        self._until[key] = after(self._clock.now(), BACK_OFF_SECONDS)

    async def act(self, keys: Sequence[Key], act: Callable[[LobbyTransaction, Sequence[Key]], Awaitable[None]]) -> None:
        """Act on all in one transaction or, when that fails, on each by itself; those that it fails for even so are left
        alone. An outage is nobody's fault: `Unavailable` is raised.
        """

        async def together(tx: LobbyTransaction) -> None:
            await act(tx, keys)

        try:
            await self._store.write(together)
            return
        except Unavailable:
            raise
        except Exception as error:
            _log.info("acting on each %s of %d by itself, after %r", self._noun, len(keys), error)
        for key in keys:

            async def alone(tx: LobbyTransaction, key: Key = key) -> None:
                await act(tx, [key])

            try:
                await self._store.write(alone)
            except Unavailable:
                raise
            except Exception as error:
                self.leave_alone(key, error)
