"""What a server uses, summed over its processes as they come and go."""

from collections.abc import Sequence

from waymeet.drivers.process import processes
from waymeet.drivers.process.processes import Identity, Usage
from waymeet.model.instant import MICROSECONDS, Instant
from waymeet.model.servers import Reading


class Meter:
    """Turns looks at a server's processes into readings.

    Totals only grow: what a process used counts on after its end, as far as it was seen. Network traffic is left out;
    the kernel does not count it by process.
    """

    def __init__(self, since: Instant) -> None:
        self._since = since
        self._seen: dict[Identity, Usage] = {}
        self._disk_read = 0
        self._disk_written = 0

    def read(self, family: Sequence[int], now: Instant) -> Reading:
        """A reading of the processes in `family`, at the time `now`."""
        current: dict[Identity, Usage] = {}
        for number in family:
            start, used = processes.started(number), processes.usage(number)
            if start is not None and used is not None:
                current[Identity(number, start)] = used
        cpu_seconds = 0.0
        for identity, used in current.items():
            before = self._seen.get(identity, _NOTHING)
            # A collected child's time moves to its parent: seen in both, it would count twice, so a fall is no gain.
            cpu_seconds += max(0.0, used.cpu_seconds - before.cpu_seconds)
            self._disk_read += max(0, used.disk_read_bytes - before.disk_read_bytes)
            self._disk_written += max(0, used.disk_written_bytes - before.disk_written_bytes)
        elapsed = (now - self._since) / MICROSECONDS
        self._since, self._seen = now, current
        return Reading(
            at=now,
            cpu_fraction=cpu_seconds / elapsed if elapsed > 0 else None,
            memory_bytes=_memory_bytes(current),
            disk_read_bytes=self._disk_read,
            disk_written_bytes=self._disk_written,
        )


def _memory_bytes(current: dict[Identity, Usage]) -> int:
    if len(current) == 1:
        return next(iter(current.values())).resident_bytes
    # Several processes of one program share most of their pages: adding up what is resident would count those often.
    return sum(
        processes.proportional_bytes(identity.number) or used.resident_bytes for identity, used in current.items()
    )


_NOTHING = Usage(cpu_seconds=0.0, resident_bytes=0, disk_read_bytes=0, disk_written_bytes=0)
