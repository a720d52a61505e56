"""Where geo data lies, and how a new release takes the place of the one before: all of it at once.

directory/installed.json                 names the release in use; replaced by renaming, which is what makes the swap one
directory/npm-2.3.2026060513/*.mmdb      a release; never written to again
directory/npm-2.3.2026060513.part        a download under way, gone on from next time
directory/.lock                          held by whoever installs
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from waymeet.datasets.errors import DatasetError
from waymeet.geo.files import Source

MANIFEST = "installed.json"
_LOCK = ".lock"


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """The release in use, as `installed.json` has it."""

    source: str
    version: str
    attribution: str
    files: tuple[str, ...]
    """Below the directory."""


class Installation:
    """The geo data of one directory. Reading needs no lock and never sees half a change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def installed(self) -> Installed | None:
        """The release in use; `None` without one, or when what says so cannot be read."""
        try:
            return msgspec.json.decode((self.directory / MANIFEST).read_bytes(), type=Installed)
        except (OSError, msgspec.DecodeError):
            return None

    def files(self) -> Sequence[Path]:
        """The databases in use; empty without any. Names that lead out of the directory are passed over."""
        installed = self.installed()
        if installed is None:
            return ()
        root = self.directory.absolute()
        return [root / name for name in installed.files if (root / name).parent.parent == root and ".." not in name]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else installs meanwhile. Raises `DatasetError` at once when somebody does, or the directory cannot be made.

        The lock ends with the process, however that ends.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = (self.directory / _LOCK).open("wb")
        except OSError as error:
            raise DatasetError(
                f"{self.directory} cannot be written ({error.strerror}); name another directory with --directory"
            ) from None
        with lock:
            _take(lock, self.directory)
            yield

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """A directory beside the releases to unpack in; gone afterwards, with what is left in it."""
        place = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self.directory))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def install(self, source: str, version: str, attribution: str, files: Sequence[Path]) -> Installed:
        """Put a release in use whose files lie in a `workplace`, and take away the others. To be called under the lock.

        A crash at any point leaves the release of before in use, or this one.
        """
        release = self.directory / f"{source}-{version}"
        before = self.installed()
        if before is not None and any(name.startswith(f"{release.name}/") for name in before.files):
            # The same release again, to mend what was damaged: never write where somebody reads.
            release = Path(tempfile.mkdtemp(prefix=f"{release.name}-", dir=self.directory))
        shutil.rmtree(release, ignore_errors=True)
        release.mkdir(mode=0o755)
        for file in files:
            _flush(file)
            file.chmod(0o644)
            file.rename(release / file.name)
        _flush(release)
        installed = Installed(
            source=source,
            version=version,
            attribution=attribution,
            files=tuple(f"{release.name}/{file.name}" for file in files),
        )
        self._write_manifest(installed)
        self._clear(keep=release)
        return installed

    def _write_manifest(self, installed: Installed) -> None:
        draft = self.directory / f".{MANIFEST}.new"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(installed)) + b"\n")
        _flush(draft)
        draft.rename(self.directory / MANIFEST)
        _flush(self.directory)

    def _clear(self, keep: Path) -> None:
        """Take away other releases and downloads. Whoever still reads them keeps what is mapped."""
        for entry in self.directory.iterdir():
            if entry == keep or entry.name in (MANIFEST, _LOCK):
                continue
            if entry.is_dir() and not entry.is_symlink():
                # Only what is ours: a release holds databases and nothing else.
                if all(inner.suffix == ".mmdb" for inner in entry.iterdir()):
                    shutil.rmtree(entry, ignore_errors=True)
            elif entry.suffix == ".part":
                entry.unlink(missing_ok=True)


def geo_sources(database: Sequence[Path], directory: Path) -> Callable[[], Sequence[Source]]:
    """What to read: the operator's files when there are any, otherwise what is installed in `directory` when asked."""
    if database:
        named = tuple(Source(path, ours=False) for path in database)
        return lambda: named
    installation = Installation(directory)
    return lambda: tuple(Source(path, ours=True) for path in installation.files())


def _take(lock: IO[bytes], directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DatasetError(f"another update of {directory} is under way; wait for it") from None


def _flush(path: Path) -> None:
    """To the disk itself, so that a power cut cannot leave the new name with old or no content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
