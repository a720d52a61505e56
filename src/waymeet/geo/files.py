"""Geo databases on the disk: files in MaxMind's open DB format, opened for reading."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import maxminddb

from waymeet.model.instant import MICROSECONDS, Instant


class GeoFileUnusable(Exception):
    """A file that is not there, cannot be read, or is no geo database. The message says which, without the path."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
        """Whether the same file may well be usable in a moment."""


class Fingerprint(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    modified: int
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read."""

    path: Path
    ours: bool
    """Installed by us, who only ever replace it by another file. It may be mapped as it stands where there is no room for a
    private copy, from which files are read otherwise, because a mapped file that somebody overwrites or shortens ends the
    whole process (SIGBUS)."""


@dataclass(frozen=True, slots=True)
class GeoFile:
    """An open database. It stays readable whatever happens to the file."""

    path: Path
    kind: str
    """What its publisher calls it."""
    built_at: Instant
    reads_ipv6: bool
    """Otherwise it knows IPv4 addresses only."""
    reader: maxminddb.Reader


def has_fast_reader() -> bool:
    """Whether maxminddb's C extension is here; without it lookups are some seven times slower."""
    try:
        from maxminddb import extension
    except ImportError:
        return False
    return hasattr(extension, "Reader")


def fingerprint(path: Path) -> Fingerprint | None:
    """`None` when there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Fingerprint(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def open_geo_file(source: Source, *, fast: bool) -> GeoFile:
    """The opened database, for as long as anybody likes; `fast` asks for the C extension. Costs the time to copy the file.

    Raises `GeoFileUnusable`.
    """
    try:
        try:
            with _private_copy(source.path) as copy:
                return _opened(copy, source.path, fast)
        except OSError:
            if not source.ours:
                raise
            return _opened(source.path, source.path, fast)
    except OSError as error:
        raise GeoFileUnusable(error.strerror or str(error), passing=True) from None


def open_where_it_is(path: Path, *, fast: bool) -> GeoFile:
    """The opened database, for a look at a file that nobody else knows or writes to. Raises `GeoFileUnusable`."""
    try:
        return _opened(path, path, fast)
    except OSError as error:
        raise GeoFileUnusable(error.strerror or str(error), passing=True) from None


def _opened(real: Path, path: Path, fast: bool) -> GeoFile:
    if not real.is_file():
        raise GeoFileUnusable("there is no such file")
    try:
        reader = maxminddb.open_database(real, maxminddb.MODE_MMAP_EXT if fast else maxminddb.MODE_MMAP)
        metadata = reader.metadata()
        # One look through the whole tree's top: a file that was cut and mended to look whole fails here.
        reader.get("198.51.100.1")
    except (maxminddb.InvalidDatabaseError, ValueError, KeyError, TypeError, IndexError) as error:
        raise GeoFileUnusable(f"it is no whole MaxMind DB file ({_without_path(error)})") from None
    return GeoFile(
        path=path,
        kind=metadata.database_type,
        built_at=Instant(metadata.build_epoch * MICROSECONDS),
        reads_ipv6=metadata.ip_version == 6,
        reader=reader,
    )


@contextmanager
def _private_copy(path: Path) -> Iterator[Path]:
    """A copy that nobody else knows; gone from the directory afterwards, and from the disk once it is closed."""
    if not path.is_file():
        raise GeoFileUnusable("there is no such file")
    handle, name = tempfile.mkstemp(prefix="waymeet-geo-", suffix=".mmdb")
    os.close(handle)
    try:
        before = fingerprint(path)
        shutil.copyfile(path, name)
        if fingerprint(path) != before:
            raise GeoFileUnusable("it is being written to; it will be looked at again", passing=True)
        yield Path(name)
    finally:
        Path(name).unlink()


def _without_path(error: Exception) -> str:
    return type(error).__name__ if "Error opening" in str(error) else str(error)
