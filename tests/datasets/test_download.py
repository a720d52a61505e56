"""Downloads that go well, break off, go on, and are not what they should be."""

import hashlib
import random
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.datasets.file_server import Behaviour, FileServer
from waymeet.datasets.download import ATTEMPTS, fetch
from waymeet.datasets.errors import Rejected, SourceUnavailable

CONTENT = random.Random(1).randbytes(300_000)
DIGEST = hashlib.sha512(CONTENT).digest()


class Download:
    """One download of `/file`, and what was told meanwhile."""

    def __init__(self, server: FileServer, http: httpx.Client, part: Path) -> None:
        self.server = server
        self.http = http
        self.part = part
        self.progress: list[tuple[int, int | None]] = []
        self.pauses: list[float] = []

    def __call__(self, *paths: str, sha512: bytes | None = DIGEST, highest_bytes: int = 10**6) -> bytes:
        fetch(
            self.http,
            [self.server.url + path for path in paths or ("/file",)],
            self.part,
            sha512=sha512,
            progress=lambda done, total: self.progress.append((done, total)),
            pause=self.pauses.append,
            highest_bytes=highest_bytes,
        )
        return self.part.read_bytes()


@pytest.fixture
def download(server: FileServer, http: httpx.Client, tmp_path: Path) -> Download:
    return Download(server, http, tmp_path / "a.part")


def test_in_one_go(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(CONTENT)
    assert download() == CONTENT
    assert [asked.range for asked in server.asked] == [None]
    assert download.progress[0] == (0, len(CONTENT))
    assert download.progress[-1] == (len(CONTENT), len(CONTENT))
    assert download.progress == sorted(download.progress)


def test_goes_on_where_it_broke_off(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(CONTENT, break_after=[100_000, 50_000])
    assert download() == CONTENT
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_goes_on_in_a_later_call(download: Download, server: FileServer) -> None:
    download.part.write_bytes(CONTENT[:200_000])
    server.files["/file"] = Behaviour(CONTENT)
    assert download() == CONTENT
    assert [asked.range for asked in server.asked] == ["bytes=200000-"]


def test_is_whole_already(download: Download, server: FileServer) -> None:
    download.part.write_bytes(CONTENT)
    server.files["/file"] = Behaviour(CONTENT)
    assert download() == CONTENT


def test_more_is_here_than_there(download: Download, server: FileServer) -> None:
    download.part.write_bytes(CONTENT + b"more")
    server.files["/file"] = Behaviour(CONTENT)
    assert download() == CONTENT


def test_a_server_without_parts(download: Download, server: FileServer) -> None:
    download.part.write_bytes(CONTENT[:200_000])
    server.files["/file"] = Behaviour(CONTENT, ranges=False)
    assert download() == CONTENT


def test_a_server_without_lengths(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(CONTENT, announced=False)
    assert download() == CONTENT
    assert download.progress[-1] == (len(CONTENT), None)


def test_a_beginning_of_another_release_is_thrown_away(download: Download, server: FileServer) -> None:
    download.part.write_bytes(b"x" * 200_000)
    server.files["/file"] = Behaviour(CONTENT)
    assert download() == CONTENT
    assert [asked.range for asked in server.asked] == ["bytes=200000-", None]


def test_an_altered_file_is_not_kept(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(CONTENT[:-1] + b"x")
    with pytest.raises(Rejected, match="SHA-512"):
        download()
    assert not download.part.exists()


def test_an_altered_rest_is_fetched_once_more_only(download: Download, server: FileServer) -> None:
    download.part.write_bytes(CONTENT[:10])
    server.files["/file"] = Behaviour(b"x" * len(CONTENT))
    with pytest.raises(Rejected, match="SHA-512"):
        download()
    assert len(server.asked) == 2


def test_busy_for_a_while(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(CONTENT, failures=[503, 429, 500])
    assert download() == CONTENT
    assert len(download.pauses) == 3
    assert download.pauses == sorted(download.pauses)


def test_failing_for_good(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(CONTENT, failures=[503] * 100)
    with pytest.raises(SourceUnavailable, match="503"):
        download()
    assert len(server.asked) == ATTEMPTS


def test_breaking_off_for_good_keeps_what_came(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(CONTENT, break_after=[1000] + [0] * 100)
    with pytest.raises(SourceUnavailable, match="broke off"):
        download()
    assert download.part.read_bytes() == CONTENT[:1000]
    server.files["/file"].break_after = []
    assert download() == CONTENT


def test_a_second_place(download: Download, server: FileServer) -> None:
    server.files["/mirror"] = Behaviour(CONTENT)
    assert download("/file", "/mirror") == CONTENT


def test_no_place_has_it(download: Download) -> None:
    with pytest.raises(SourceUnavailable, match=r"404 for /file.*404 for /mirror"):
        download("/file", "/mirror")


def test_nobody_listens(tmp_path: Path, http: httpx.Client) -> None:
    pauses: list[float] = []
    with pytest.raises(SourceUnavailable):
        fetch(
            http,
            ["http://127.0.0.1:1/file"],
            tmp_path / "a.part",
            sha512=None,
            progress=lambda *_: None,
            pause=pauses.append,
        )
    # A closed port is not waited for: there is a next source.
    assert pauses == []


@pytest.mark.parametrize("announced", [True, False])
def test_too_long(download: Download, server: FileServer, announced: bool) -> None:
    server.files["/file"] = Behaviour(CONTENT, announced=announced)
    with pytest.raises(Rejected, match="accepted"):
        download(highest_bytes=len(CONTENT) - 1)
    assert not download.part.exists()
    assert max((done for done, _ in download.progress), default=0) <= len(CONTENT)


def test_another_part_than_asked_for(download: Download, server: FileServer) -> None:
    download.part.write_bytes(CONTENT[:100])
    server.files["/file"] = Behaviour(CONTENT, wrong_range=True)
    with pytest.raises(SourceUnavailable, match="another part"):
        download()
    assert download.part.read_bytes() == CONTENT[:100]


def test_a_redirect(download: Download, server: FileServer) -> None:
    server.files["/file"] = Behaviour(redirect="/elsewhere")
    server.files["/elsewhere"] = Behaviour(CONTENT, break_after=[1000])
    assert download() == CONTENT


@given(
    breaks=st.lists(st.integers(0, 2500), max_size=5),
    here=st.integers(0, 3000),
    ranges=st.booleans(),
    announced=st.booleans(),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_breaks(
    server: FileServer, http: httpx.Client, tmp_path: Path, breaks: list[int], here: int, ranges: bool, announced: bool
) -> None:
    """In the end the file is whole, or nothing that is not is taken for it."""
    content = CONTENT[:2000]
    part = tmp_path / "a.part"
    part.write_bytes(content[:here] + b"x" * max(0, here - len(content)))
    # Without a length a cut looks like an end; the checksum tells.
    server.files["/file"] = Behaviour(content, break_after=list(breaks), ranges=ranges, announced=announced)
    try:
        fetch(
            http,
            [f"{server.url}/file"],
            part,
            sha512=hashlib.sha512(content).digest(),
            progress=lambda *_: None,
            pause=lambda _: None,
        )
    except Rejected:
        assert not announced
        assert not part.exists()
        return
    assert part.read_bytes() == content
