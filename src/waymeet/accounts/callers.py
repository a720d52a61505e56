"""Who a secret belongs to, remembered for a few seconds: the question comes with every request."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from waymeet.accounts.types import Caller
from waymeet.model.instant import Clock

SECONDS_TO_LIVE = 5.0
"""A revoked token is refused at once where the change is heard of, and after this long where the bell was lost."""
HIGHEST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    caller: Caller
    expires: float


class CallerMemory:
    """A bounded memory of callers by the hash of their secret, in front of `look_up`.

    Unknown secrets are not remembered: guesses must not push out those who hold a key. Concurrent questions about the
    same secret share one look-up.
    """

    def __init__(
        self,
        look_up: Callable[[str], Awaitable[Caller | None]],
        clock: Clock,
        *,
        highest_entries: int = HIGHEST_ENTRIES,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._highest_entries = highest_entries
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[Caller | None]] = {}

    def known(self, secret_hash: str) -> Caller | None:
        """The remembered caller."""
        entry = self._entries.get(secret_hash)
        if entry is None:
            return None
        if self._clock.monotonic() >= entry.expires:
            del self._entries[secret_hash]
            return None
        return entry.caller

    async def find(self, secret_hash: str) -> Caller | None:
        """The caller, looked up when not remembered. Raises what the look-up raises."""
        caller = self.known(secret_hash)
        if caller is not None:
            return caller
        task = self._lookups.get(secret_hash)
        if task is None:
            task = asyncio.create_task(self._look_up_and_keep(secret_hash))
            self._lookups[secret_hash] = task
            task.add_done_callback(lambda done: self._finished(secret_hash, done))
        # Shielded: when the first asker's request is cancelled, the others still get their answer.
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Forget everything, and do not keep what look-ups now under way will find: it may be outdated already."""
        self._entries.clear()
        self._lookups.clear()

    async def _look_up_and_keep(self, secret_hash: str) -> Caller | None:
        caller = await self._look_up(secret_hash)
        if caller is not None and self._lookups.get(secret_hash) is asyncio.current_task():
            self._entries[secret_hash] = _Entry(caller, self._clock.monotonic() + SECONDS_TO_LIVE)
            if len(self._entries) > self._highest_entries:
                self._entries.popitem(last=False)
        return caller

    def _finished(self, secret_hash: str, task: asyncio.Task[Caller | None]) -> None:
        if self._lookups.get(secret_hash) is task:
            del self._lookups[secret_hash]
        if not task.cancelled():
            task.exception()  # Marks it as seen: whoever still waits gets it raised; nobody else needs to hear of it.
