"""Fetching one large file over HTTP: bounded, resumed where it broke off, verified at the end."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from waymeet.datasets.errors import DatasetError, Rejected, SourceUnavailable
from waymeet.datasets.sources import reason_of

HIGHEST_BYTES = 1024**3
ATTEMPTS = 6
"""How often one download is begun or resumed without getting any further in between."""
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

Progress = Callable[[int, int | None], None]
"""Told how many bytes are here, and how many there will be (when the server says so)."""
Pause = Callable[[float], None]


class _Interrupted(Exception):
    """The connection ended before the file did; what came is kept."""


def fetch(
    http: httpx.Client,
    urls: Sequence[str],
    part: Path,
    *,
    sha512: bytes | None,
    progress: Progress,
    pause: Pause,
    highest_bytes: int = HIGHEST_BYTES,
) -> None:
    """Have `part` hold the whole file. What an earlier call left there is gone on from.

    Tries the addresses in turn while one cannot be had. Raises `SourceUnavailable` when none can (what came is kept for the
    next call), and `Rejected`, keeping nothing, when the file is longer than `highest_bytes` or differs from `sha512`. A
    resumed file that differs is fetched once more from the start, since its beginning may be of another release.
    """
    resumed = part.exists() and part.stat().st_size > 0
    while True:
        _fetch_from_any(http, urls, part, progress, pause, highest_bytes)
        if sha512 is None or _sha512(part) == sha512:
            return
        part.unlink()
        if not resumed:
            raise Rejected("the archive that came is not the one announced: its SHA-512 differs; nothing was kept")
        resumed = False


def _fetch_from_any(
    http: httpx.Client, urls: Sequence[str], part: Path, progress: Progress, pause: Pause, highest_bytes: int
) -> None:
    problems: list[str] = []
    for url in urls:
        try:
            _fetch_from(http, url, part, progress, pause, highest_bytes)
            return
        except SourceUnavailable as error:
            problems.append(str(error))
    raise SourceUnavailable("; ".join(problems))


def _fetch_from(http: httpx.Client, url: str, part: Path, progress: Progress, pause: Pause, highest_bytes: int) -> None:
    fruitless = 0
    while True:
        size = part.stat().st_size if part.exists() else 0
        try:
            _attempt(http, url, part, size, progress, highest_bytes)
            return
        except (httpx.TransportError, _Interrupted) as error:
            got_further = part.exists() and part.stat().st_size > size
            fruitless = 0 if got_further else fruitless + 1
            if fruitless >= ATTEMPTS or (size == 0 and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)):
                host = httpx.URL(url).host
                raise SourceUnavailable(f"the download from {host} broke off: {reason_of(error)}") from None
            pause(_PAUSES[min(fruitless, len(_PAUSES) - 1)])


def _attempt(http: httpx.Client, url: str, part: Path, size: int, progress: Progress, highest_bytes: int) -> None:
    # `identity`: byte positions must be those of the file, not of some encoding of it.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
    with http.stream("GET", url, headers=headers) as answer:
        if url.startswith("https:") and answer.url.scheme != "https":
            raise SourceUnavailable(f"{httpx.URL(url).host} leads away from TLS; that is not followed")
        if answer.status_code == 416:
            # What is here is at least as long as what is there: whole (the checksum will tell), or of another release.
            if answer.headers.get("content-range") == f"bytes */{size}":
                return
            part.unlink()
            raise _Interrupted("the server has no more of the file than came before")
        if answer.status_code not in (200, 206):
            if answer.status_code >= 500 or answer.status_code == 429:
                raise _Interrupted(f"the server answers {answer.status_code}")
            raise SourceUnavailable(f"{httpx.URL(url).host} answers {answer.status_code} for {httpx.URL(url).path}")
        start, total = _extent(answer, size)
        if total is not None and total > highest_bytes:
            raise Rejected(f"the archive is {total} bytes long; at most {highest_bytes} are accepted")
        _append(answer, part, start, total, progress, highest_bytes)


def _extent(answer: httpx.Response, size: int) -> tuple[int, int | None]:
    """Where the body belongs, and how long the whole will be."""
    if answer.status_code == 200:
        length = answer.headers.get("content-length", "")
        return 0, int(length) if length.isdigit() else None
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    if match is None or int(match[1]) != size:
        raise SourceUnavailable(f"{answer.url.host} sends another part of the file than was asked for")
    return size, int(match[2]) if match[2] != "*" else None


def _append(
    answer: httpx.Response, part: Path, start: int, total: int | None, progress: Progress, highest_bytes: int
) -> None:
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        progress(done, total)
        for block in answer.iter_raw():
            done += len(block)
            if done > highest_bytes or (total is not None and done > total):
                file.close()
                part.unlink()
                raise Rejected(f"the archive is longer than {'announced' if total else 'accepted'}; nothing was kept")
            try:
                file.write(block)
            except OSError as error:
                raise DatasetError(f"{part.parent} cannot be written: {error.strerror}") from None
            progress(done, total)
    if total is not None and done < total:
        raise _Interrupted(f"{done} of {total} bytes came")


def _sha512(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha512").digest()
