"""Where addresses are, from files that may change while we read them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path

import maxminddb

from waymeet.geo.files import Fingerprint, GeoFile, GeoFileUnusable, Source, fingerprint, has_fast_reader, open_geo_file
from waymeet.geo.records import IpPlace, place_of
from waymeet.model.instant import Instant, elapsed_seconds
from waymeet.model.location import Coordinates

NOT_INSTALLED = (
    "no geo data is installed: players are placed by the coordinates they bring, filters and room; `waymeet geo update` "
    "installs it"
)
GONE = "the installed geo data is gone; what was there before stays in use; `waymeet geo update` installs it again"
SLOW = (
    "maxminddb's C extension is missing: lookups are some seven times slower; install maxminddb from a ready-made wheel"
)


@dataclass(frozen=True, slots=True)
class GeoState:
    """What there is to look up in."""

    files: tuple[GeoFile, ...] = ()
    problems: tuple[str, ...] = ()
    """In words for the operator, each with the way out. Lookups go on with what is left."""

    @property
    def built_at(self) -> Instant | None:
        """When the oldest file was built; `None` without any."""
        return min((file.built_at for file in self.files), default=None)

    def age_seconds(self, now: Instant) -> int | None:
        """How old the data is; `None` without any."""
        return elapsed_seconds(self.built_at, now) if self.built_at is not None else None


class GeoDatabase:
    """Looks addresses up in one or several files, in their order; the first that knows coordinates is believed.

    `sources` says which files there are now. Nothing is open before the first `refresh`; without any file, or with broken
    ones, every place is simply unknown. Lookups never raise, and may run while another thread refreshes.
    """

    def __init__(self, sources: Callable[[], Sequence[Source]], *, fast: bool | None = None) -> None:
        self._sources = sources
        self._fast = has_fast_reader() if fast is None else fast
        self._seen: tuple[tuple[Source, Fingerprint | None], ...] | None = None
        self._open: dict[Source, tuple[Fingerprint | None, GeoFile]] = {}
        self._refused: dict[Source, tuple[Fingerprint | None, str]] = {}
        self._for_ipv4: tuple[GeoFile, ...] = ()
        self._for_ipv6: tuple[GeoFile, ...] = ()
        self._damaged: set[Path] = set()
        self._state = GeoState(problems=(NOT_INSTALLED,))

    @property
    def state(self) -> GeoState:
        """What is open, and what is wrong. Damage inside a file shows only once a lookup has met it."""
        if not self._damaged:
            return self._state
        damaged = tuple(f"{path} is damaged inside; replace it" for path in sorted(self._damaged))
        return GeoState(self._state.files, self._state.problems + damaged)

    @property
    def edition(self) -> object:
        """Another object whenever answers may have changed: for who remembers them."""
        return self._state

    def refresh(self) -> bool:
        """Open what is new or has changed; whether there was anything. Costs one look at each file when there was not.

        A file that has become unusable, or has gone, stays open as it was before. Blocks while files are copied: call it
        from a thread where that matters, and never from two at once.
        """
        seen = tuple((source, fingerprint(source.path)) for source in self._sources())
        if seen == self._seen:
            return False
        opened: dict[Source, tuple[Fingerprint | None, GeoFile]] = {}
        refused: dict[Source, tuple[Fingerprint | None, str]] = {}
        settled = True
        for source, now in seen:
            before = self._open.get(source)
            if before is not None and before[0] == now:
                opened[source] = before
                continue
            known = self._refused.get(source)
            if known is not None and known[0] == now:
                refused[source] = known
            else:
                try:
                    opened[source] = (now, open_geo_file(source, fast=self._fast))
                    continue
                except GeoFileUnusable as error:
                    refused[source] = (now, str(error))
                    settled = settled and not error.passing
            if before is not None:
                opened[source] = before
        if not opened:
            # Better the data of before, from wherever it was, than none.
            opened = self._open
        self._open = opened
        self._refused = refused if settled else {}
        self._seen = seen if settled else None
        self._damaged = set()
        files = tuple(file for _, file in opened.values())
        self._for_ipv4 = files
        self._for_ipv6 = tuple(file for file in files if file.reads_ipv6)
        state = GeoState(files, tuple(self._problems(seen, refused, files)))
        changed = state != self._state
        self._state = state
        return changed

    def _problems(
        self,
        seen: Sequence[tuple[Source, object]],
        refused: Mapping[Source, tuple[object, str]],
        files: Sequence[GeoFile],
    ) -> Iterator[str]:
        if not seen:
            yield GONE if files else NOT_INSTALLED
        for source, (_, reason) in refused.items():
            meanwhile = "what was there before stays in use" if files else "replace it, or run `waymeet geo update`"
            yield f"geo data {source.path} cannot be used: {reason}; {meanwhile}"
        if files and not self._fast:
            yield SLOW

    def lookup(self, ip: str) -> IpPlace | None:
        """The place of an address (canonical text); `None` when it is not known, or when it is no address."""
        files = self._for_ipv4
        if ":" in ip:
            files = self._for_ipv6
            if ip.startswith("::ffff:") and (inner := _mapped(ip)) is not None:
                files, ip = self._for_ipv4, inner
        known: IpPlace | None = None
        for file in files:
            try:
                record = file.reader.get(ip)
            except UnicodeDecodeError:
                self._damaged.add(file.path)
                continue
            except ValueError:
                # No address, in a file that reads its family: no other file will find it either.
                return None
            except (maxminddb.InvalidDatabaseError, KeyError, TypeError, IndexError):
                self._damaged.add(file.path)
                continue
            place = place_of(record) if record is not None else None
            if place is None:
                continue
            if place.latitude is not None:
                return place
            known = known or place
        return known

    def coordinates_of(self, ip: str) -> Coordinates | None:
        """The point of an address, for placement."""
        place = self.lookup(ip)
        return place.coordinates if place is not None else None


def _mapped(ip: str) -> str | None:
    """The IPv4 address inside an IPv4-mapped IPv6 address."""
    try:
        inner = IPv6Address(ip).ipv4_mapped
    except AddressValueError:
        return None
    return str(inner) if inner is not None else None
