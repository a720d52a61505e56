"""`waymeet geo`: installing geo data, and looking at it."""

import os
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from waymeet.clock import SystemClock
from waymeet.datasets.errors import DatasetError
from waymeet.datasets.installation import Installation, geo_sources
from waymeet.datasets.registry import npm_registry
from waymeet.datasets.sources import ReleaseSource, SourceName, sources
from waymeet.datasets.updating import http_client, newest
from waymeet.datasets.updating import update as bring_up_to_date
from waymeet.geo.database import GeoDatabase, GeoState
from waymeet.model.instant import MICROSECONDS, Instant
from waymeet.settings import GeoSettings

_DAY = 86_400


def update(settings: GeoSettings, *, source: str | None, check: bool) -> int:
    """Have the newest release in use (with `check`, only say whether it is). Raises `DatasetError`.

    The exit code: 0 when it is in use, 1 when it is not, which only happens with `check`.
    """
    console = Console()
    chosen = _chosen(settings, source)
    installation = Installation(settings.directory)
    with http_client() as http:
        if check:
            release = newest(http, chosen)
            installed = installation.installed()
            current = installed is not None and (installed.source, installed.version) == (
                release.source,
                release.version,
            )
            there = f"{installed.source} {installed.version}" if installed is not None else "nothing"
            console.print(f"installed {there}, newest {release.source} {release.version}", highlight=False)
            return 0 if current else 1
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("geo data", total=None)
            outcome = bring_up_to_date(
                installation,
                http,
                chosen,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
                report=lambda text: console.print(text, highlight=False),
                pause=time.sleep,
            )
    done = "installed in" if outcome.changed else "is the newest there is, in"
    console.print(
        f"{outcome.installed.source} {outcome.installed.version} {done} {settings.directory}", highlight=False
    )
    console.print(outcome.installed.attribution, highlight=False)
    if settings.database:
        console.print("geo.database names other files; servers with these settings read those", highlight=False)
    return 0


def status(settings: GeoSettings) -> int:
    """Print what is in use; 0 when there is something, 1 otherwise."""
    console = Console()
    now = SystemClock().now()
    state = opened(settings).state
    for file in state.files:
        families = "IPv4 and IPv6" if file.reads_ipv6 else "IPv4"
        text = f"{file.path}: {file.kind}, {families}, built {day(file.built_at)}, {age_text(state, now)}"
        console.print(text, highlight=False, soft_wrap=True)
    installed = Installation(settings.directory).installed() if not settings.database else None
    if installed is not None:
        console.print(f"from {installed.source}, release {installed.version}", highlight=False)
        console.print(installed.attribution, highlight=False)
    for problem in state.problems:
        console.print(problem, highlight=False, soft_wrap=True)
    return 0 if state.files else 1


def opened(settings: GeoSettings) -> GeoDatabase:
    """The geo data that servers with these settings read."""
    database = GeoDatabase(geo_sources(settings.database, settings.directory))
    database.refresh()
    return database


def day(instant: Instant) -> str:
    """`2026-06-05`."""
    return datetime.fromtimestamp(instant / MICROSECONDS, UTC).strftime("%Y-%m-%d")


def age_text(state: GeoState, now: Instant) -> str:
    """`12 days old`."""
    days = (state.age_seconds(now) or 0) // _DAY
    return f"{days} day{'' if days == 1 else 's'} old"


def _chosen(settings: GeoSettings, source: str | None) -> dict[SourceName, ReleaseSource]:
    if source is not None and source not in SourceName.__members__.values():
        raise DatasetError(f"--source: there is no source {source!r}; use one of: {', '.join(SourceName)}")
    today = datetime.fromtimestamp(SystemClock().now() / MICROSECONDS, UTC).date()
    # npm is asked, which takes a moment, only where its answer is wanted.
    registry = npm_registry(settings.registry, os.environ) if source != SourceName.PUBLISHER else None
    offered = sources(registry, today)
    return {name: offered[name] for name in offered if source is None or name == source}
