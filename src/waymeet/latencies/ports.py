"""What this domain needs of the store and of its neighbours."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from waymeet.latencies.types import Record
from waymeet.locations.types import Inquiry
from waymeet.model.instant import Instant
from waymeet.model.node_messages import Answer

Result = TypeVar("Result")


class LatencyRows(Protocol):
    """Measurements, one row for each owner, network and site."""

    async def of(self, prefixes: Sequence[str], owners: Sequence[str]) -> Sequence[Record]:
        """Everything that one or two owners know of at most `MOST_NETWORKS` networks."""

    async def put(self, records: Iterable[Record]) -> None:
        """Write records, each in the place of what was there."""

    async def counts(self) -> Mapping[str, int]:
        """How many rows each owner has."""

    async def drop_asked_before(self, before: Instant, limit: int) -> int:
        """Forget at most `limit` rows that nobody tried to measure since; how many there were."""

    async def drop_oldest(self, owner: str, count: int) -> int:
        """Forget so many rows of an owner, those first that were asked about longest ago."""


class LatencyTransaction(Protocol):
    @property
    def latencies(self) -> LatencyRows: ...

    def wake(self, topic: str, key: str | None = None) -> None: ...


class LatencyStore(Protocol):
    async def write(self, unit: Callable[[LatencyTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[LatencyTransaction], Awaitable[Result]]) -> Result: ...

    async def scan(self, unit: Callable[[LatencyTransaction], Awaitable[Result]]) -> Result: ...


class Bells(Protocol):
    def listen(self, topic: str, listener: Callable[[str | None], None]) -> Callable[[], None]: ...


class Nodes(Protocol):
    """How nodes are asked: `locations.service.LocationService`."""

    def ask_each(
        self, inquiries: Sequence[Inquiry], seconds: float
    ) -> AsyncGenerator[Sequence[tuple[Inquiry, Answer]], None]:
        """Ask all of them at once; their answers as they come in."""


class BeaconSites(Protocol):
    """Where the beacons that players are given stand."""

    def site_of(self, city: str) -> str | None:
        """The site (`Place.site`) of the beacon that is listed under this city, if there is one."""
