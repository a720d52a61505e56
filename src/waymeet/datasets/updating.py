"""Bringing the geo data up to date: find, download, verify, put in place."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import certifi
import httpx

from waymeet.datasets.download import Pause, Progress, fetch
from waymeet.datasets.errors import DatasetError, Rejected, SourceUnavailable
from waymeet.datasets.installation import Installation, Installed
from waymeet.datasets.sources import Release, ReleaseSource, SourceName
from waymeet.datasets.unpacking import unpack
from waymeet.geo.files import GeoFileUnusable, has_fast_reader, open_where_it_is
from waymeet.geo.records import place_of

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""How long a server may say nothing in the middle of an answer."""
_HIGHEST_REDIRECTS = 5

_PROBES = ("1.1.1.1", "8.8.8.8", "9.9.9.9", "193.0.14.129", "2001:4860:4860::8888", "2606:4700:4700::1111")
"""Long-standing public resolvers and a root name server: a city database knows some of them."""

Result = TypeVar("Result")
Report = Callable[[str], None]
"""Told in words what is being done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an update came to."""

    installed: Installed
    changed: bool
    """False when the newest release was in use already."""


def http_client() -> httpx.Client:
    """A client that trusts whom this machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` count), and certifi's list too.

    Proxies come from the environment, as everywhere.
    """
    trust = ssl.create_default_context()
    trust.load_verify_locations(certifi.where())
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    return httpx.Client(verify=trust, timeout=timeout, follow_redirects=True, max_redirects=_HIGHEST_REDIRECTS)


def newest(http: httpx.Client, sources: Mapping[SourceName, ReleaseSource]) -> Release:
    """The newest release of the first source that has one. Raises `DatasetError` with what is wrong with each."""
    return _first(sources, lambda source: source.newest(http))


def update(
    installation: Installation,
    http: httpx.Client,
    sources: Mapping[SourceName, ReleaseSource],
    *,
    progress: Progress,
    report: Report,
    pause: Pause,
) -> Outcome:
    """Have the newest release in use, from the first source that can give it.

    Repeating it is cheap: a release that is in use and whole is not fetched again, and a download that broke off is gone on
    from. Raises `DatasetError`; what was in use before then stays so.
    """
    with installation.locked():
        return _first(sources, lambda source: _from(source, installation, http, progress, report, pause))


def _from(
    source: ReleaseSource,
    installation: Installation,
    http: httpx.Client,
    progress: Progress,
    report: Report,
    pause: Pause,
) -> Outcome:
    release = source.newest(http)
    before = installation.installed()
    if before is not None and (before.source, before.version) == (release.source, release.version):
        files = installation.files()
        if files and all(_is_whole(file) for file in files):
            return Outcome(before, changed=False)
    report(f"downloading DB-IP City Lite, {release.source} {release.version}")
    part = installation.directory / f"{release.source}-{release.version}.part"
    fetch(http, release.urls, part, sha512=release.sha512, progress=progress, pause=pause)
    report("unpacking and verifying")
    with installation.workplace() as place:
        try:
            files = unpack(part, release.packing, place)
            verify(files)
        except Rejected:
            # Going on from it would only fail again.
            part.unlink(missing_ok=True)
            raise
        installed = installation.install(release.source, release.version, release.attribution, files)
    return Outcome(installed, changed=True)


def verify(files: Sequence[Path]) -> None:
    """Nothing, when the files together are a geo database that knows places; otherwise raises `Rejected`."""
    known = 0
    for path in files:
        try:
            opened = open_where_it_is(path, fast=has_fast_reader())
            for address in _PROBES:
                if ":" in address and not opened.reads_ipv6:
                    continue
                place = place_of(opened.reader.get(address))
                known += place is not None and place.latitude is not None
        except (GeoFileUnusable, RuntimeError, ValueError) as error:
            raise Rejected(f"{path.name} in the archive is no geo database: {error}") from None
    if not known:
        raise Rejected("the databases in the archive know no place of any well-known address")


def _is_whole(path: Path) -> bool:
    try:
        open_where_it_is(path, fast=has_fast_reader())
    except GeoFileUnusable:
        return False
    return True


def _first(sources: Mapping[SourceName, ReleaseSource], ask: Callable[[ReleaseSource], Result]) -> Result:
    problems: list[str] = []
    for name, source in sources.items():
        try:
            return ask(source)
        except (SourceUnavailable, Rejected) as error:
            problems.append(f"{name}: {error}")
    raise DatasetError("\n".join(problems))
