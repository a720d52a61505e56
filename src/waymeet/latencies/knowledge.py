"""What is known of networks, kept in memory so that a group that was seen before costs no query."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from waymeet.latencies.ports import Bells, LatencyStore, LatencyTransaction
from waymeet.latencies.types import MOST_NETWORKS, Record
from waymeet.model.instant import Clock

LATENCIES = "latencies"
"""Bell with `<network> <owner>` as key: something was measured there."""

REMEMBERED = 20_000
"""Networks of owners. With a handful of sites each that is some tens of megabytes."""
REREAD_SECONDS = 300.0
"""The safety net behind the bell."""

Known = Mapping[str, Record]
"""By site."""
_Key = tuple[str, str]
"""Network and owner."""


def bell_key(prefix: str, owner: str) -> str:
    """The key that `LATENCIES` rings with."""
    return f"{prefix} {owner}"


class Knowledge:
    """Reads records through a bounded memory, which holds as well that nothing is known of a network."""

    def __init__(self, store: LatencyStore, bells: Bells, clock: Clock, remembered: int = REMEMBERED) -> None:
        self._store = store
        self._clock = clock
        self._most = remembered
        self._memory: OrderedDict[_Key, tuple[float, Known]] = OrderedDict()
        self._readings: list[_Reading] = []
        self.close = bells.listen(LATENCIES, self._hear)

    async def of(self, prefixes: Sequence[str], owners: Sequence[str]) -> Mapping[_Key, Known]:
        """What these owners (at most two) know of each of the networks."""
        now = self._clock.monotonic()
        found: dict[_Key, Known] = {}
        missing: list[str] = []
        for prefix in prefixes:
            for owner in owners:
                key = (prefix, owner)
                remembered = self._memory.get(key)
                if remembered is not None and now - remembered[0] < REREAD_SECONDS:
                    self._memory.move_to_end(key)
                    found[key] = remembered[1]
                elif not missing or missing[-1] != prefix:
                    missing.append(prefix)
        for start in range(0, len(missing), MOST_NETWORKS):
            found |= await self._read(missing[start : start + MOST_NETWORKS], owners)
        return found

    async def _read(self, prefixes: Sequence[str], owners: Sequence[str]) -> Mapping[_Key, Known]:
        async def unit(tx: LatencyTransaction) -> Sequence[Record]:
            return await tx.latencies.of(prefixes, owners)

        reading = _Reading()
        self._readings.append(reading)
        try:
            records = await self._store.read(unit)
        finally:
            self._readings.remove(reading)
        found: dict[_Key, dict[str, Record]] = {(prefix, owner): {} for prefix in prefixes for owner in owners}
        for record in records:
            found[record.prefix, record.owner][record.site] = record
        now = self._clock.monotonic()
        for key, known in found.items():
            if not reading.is_outdated(key):
                self._memory[key] = (now, known)
                self._memory.move_to_end(key)
        while len(self._memory) > self._most:
            self._memory.popitem(last=False)
        return found

    def forget(self, prefix: str, owner: str) -> None:
        """Read it anew next time: it was just written. The bell says so too, but may take a moment to arrive."""
        self._memory.pop((prefix, owner), None)
        for reading in self._readings:
            reading.keys.add((prefix, owner))

    def _hear(self, rung: str | None) -> None:
        if rung is None:
            self._memory.clear()
            for reading in self._readings:
                reading.everything = True
        else:
            prefix, _, owner = rung.partition(" ")
            self.forget(prefix, owner)


class _Reading:
    """A reading under way, and what rang meanwhile: there it may have seen what was before."""

    def __init__(self) -> None:
        self.everything = False
        self.keys: set[_Key] = set()

    def is_outdated(self, key: _Key) -> bool:
        return self.everything or key in self.keys
