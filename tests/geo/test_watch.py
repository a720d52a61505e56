"""What log, metrics and readiness say of the geo data, as it comes, changes and breaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from tests.clocks import START, ManualClock
from tests.geo.mmdb import BUILT, LONDON, TOKYO, database
from waymeet.geo.database import NOT_INSTALLED, GeoDatabase
from waymeet.geo.files import Source
from waymeet.main.geography import GeographyWatch
from waymeet.metrics import DomainMetrics

pytestmark = pytest.mark.anyio


class Told:
    """A watch over one file, and everything it says."""

    def __init__(self, path: Path, lines: list[structlog.typing.EventDict]) -> None:
        self.sources: list[Source] = [Source(path, ours=False)]
        self.database = GeoDatabase(lambda: tuple(self.sources))
        self.clock = ManualClock(START)
        self.metrics = DomainMetrics()
        self.watch = GeographyWatch(self.database, self.clock, self.metrics)
        self.lines = lines
        self._registry = CollectorRegistry()
        self._registry.register(self.metrics)

    def warnings(self) -> list[str]:
        """What was logged as a warning since the last time this was asked."""
        found = [line["problem"] for line in self.lines if line["log_level"] == "warning"]
        self.lines.clear()
        return found

    def metric(self, name: str) -> float | None:
        for line in generate_latest(self._registry).decode().splitlines():
            if line.startswith(f"waymeet_geo_data_{name} "):
                return float(line.rpartition(" ")[2])
        return None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mmdb"


@pytest.fixture
def told(path: Path) -> Iterator[Told]:
    with structlog.testing.capture_logs() as lines:
        yield Told(path, lines)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def test_it_comes_ages_breaks_and_is_mended(told: Told, path: Path) -> None:
    await told.watch.look()
    (missing,) = told.warnings()
    assert "there is no such file" in missing
    assert await told.watch.notice() == missing
    assert (told.metric("present"), told.metric("age_seconds")) == (0, None)

    write(path, database({"81.2.69.0/24": LONDON}, built=BUILT - 3600))
    await told.watch.look()
    assert told.warnings() == []
    assert await told.watch.notice() is None
    assert (told.metric("present"), told.metric("age_seconds")) == (1, 3600)
    told.clock.advance(60)
    await told.watch.look()
    assert told.metric("age_seconds") == 3660

    write(path, b"garbage")
    await told.watch.look()
    await told.watch.look()
    (broken,) = told.warnings()
    assert "stays in use" in broken
    assert told.metric("present") == 1
    assert told.database.lookup("81.2.69.1")

    write(path, database({"81.2.69.0/24": TOKYO}))
    await told.watch.look()
    assert await told.watch.notice() is None
    assert told.metric("age_seconds") == 60


async def test_nothing_is_installed(told: Told) -> None:
    told.sources.clear()
    await told.watch.look()
    assert told.warnings() == [NOT_INSTALLED]
    assert await told.watch.notice() == NOT_INSTALLED
    await told.watch.look()
    assert told.warnings() == []
