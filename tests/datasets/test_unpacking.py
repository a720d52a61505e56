"""Archives that hold databases, and archives that hold traps."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.datasets.archives import gz, release, tgz
from waymeet.datasets.errors import Rejected
from waymeet.datasets.sources import Packing
from waymeet.datasets.unpacking import HIGHEST_MEMBERS, unpack


@pytest.fixture
def into(tmp_path: Path) -> Path:
    made = tmp_path / "into"
    made.mkdir()
    return made


def archive(tmp_path: Path, content: bytes) -> Path:
    made = tmp_path / "archive"
    made.write_bytes(content)
    return made


def test_a_package(tmp_path: Path, into: Path) -> None:
    files = release()
    made = unpack(archive(tmp_path, tgz({"README.md": b"read", **files})), Packing.TAR, into)
    assert {path.name: path.read_bytes() for path in made} == files
    assert sorted(into.iterdir()) == list(made)


def test_a_single_file(tmp_path: Path, into: Path) -> None:
    (made,) = unpack(archive(tmp_path, gz()), Packing.GZIP, into)
    assert made.read_bytes() == gzip.decompress(gz())


@pytest.mark.parametrize("folder", ["../", "../../", "/", "/etc/", "a/b/../../../"])
def test_names_that_lead_out_lead_nowhere(tmp_path: Path, into: Path, folder: str) -> None:
    made = unpack(archive(tmp_path, tgz({"evil.mmdb": b"x"}, folder=folder)), Packing.TAR, into)
    assert made == [into / "evil.mmdb"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "evil.mmdb", "into"]


@pytest.mark.parametrize(
    "name", [".mmdb", "..mmdb", "a b.mmdb", "a\n.mmdb", "x" * 200 + ".mmdb", "ä.mmdb", "a.mmdb/", "a.txt"]
)
def test_names_that_nobody_needs_are_passed_over(tmp_path: Path, into: Path, name: str) -> None:
    with pytest.raises(Rejected, match="holds no database"):
        unpack(archive(tmp_path, tgz({name: b"x"})), Packing.TAR, into)
    assert list(into.iterdir()) == []


def test_links_are_passed_over(tmp_path: Path, into: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    content = tgz({}, links={"a.mmdb": str(secret), "b.mmdb": "../secret"})
    with pytest.raises(Rejected, match="holds no database"):
        unpack(archive(tmp_path, content), Packing.TAR, into)
    assert list(into.iterdir()) == []


def test_the_same_name_twice(tmp_path: Path, into: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for folder in ("a/", "b/"):
            member = tarfile.TarInfo(f"{folder}a.mmdb")
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(Rejected, match="twice"):
        unpack(archive(tmp_path, content.getvalue()), Packing.TAR, into)


def test_bombs(tmp_path: Path, into: Path) -> None:
    zeros = bytes(3_000_000)
    for packing, content in (
        (Packing.TAR, tgz({"a.mmdb": zeros})),
        (Packing.TAR, tgz({"padding": zeros, "a.mmdb": b"x"})),
        (Packing.GZIP, gzip.compress(zeros)),
    ):
        assert len(content) < 10_000
        with pytest.raises(Rejected, match="longer, unpacked"):
            unpack(archive(tmp_path, content), packing, into, highest_bytes=2_000_000)
        for left in into.iterdir():
            assert left.stat().st_size <= 2_000_000
            left.unlink()


def test_too_many_members(tmp_path: Path, into: Path) -> None:
    content = tgz({f"{number}.txt": b"" for number in range(HIGHEST_MEMBERS + 1)})
    with pytest.raises(Rejected, match="members"):
        unpack(archive(tmp_path, content), Packing.TAR, into)


@pytest.mark.parametrize("packing", Packing)
@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", tgz(release())[:-100], gz()[:-10], gzip.compress(b"garbage" * 200, mtime=0)[:-9]],
    ids=["empty", "garbage", "cut package", "cut file", "cut garbage"],
)
def test_damage(tmp_path: Path, into: Path, packing: Packing, content: bytes) -> None:
    with pytest.raises(Rejected):
        unpack(archive(tmp_path, content), packing, into)


@given(st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Where no checksum is announced, gzip's own is all there is: it must really be looked at."""
    content = bytearray(gz())
    # Behind the header, whose flags and time say nothing about the content.
    at = data.draw(st.integers(10, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    directory = tmp_path_factory.mktemp("flipped")
    try:
        (made,) = unpack(archive(directory, bytes(content)), Packing.GZIP, directory)
    except Rejected:
        return
    # A bit that only fills up.
    assert made.read_bytes() == gzip.decompress(gz())
