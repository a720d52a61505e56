"""Taking databases out of the archives they come in. An archive is a stranger's: sizes are bounded, names are ours."""

import gzip
import re
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from waymeet.datasets.errors import DatasetError, Rejected
from waymeet.datasets.sources import Packing

HIGHEST_BYTES = 2 * 1024**3
"""Of everything in an archive, unpacked."""
HIGHEST_MEMBERS = 1000
_DATABASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}\.mmdb")
_BLOCK = 1024 * 1024


def unpack(archive: Path, packing: Packing, into: Path, *, highest_bytes: int = HIGHEST_BYTES) -> Sequence[Path]:
    """The databases of an archive as files in the directory `into`, by name.

    Takes regular files named `*.mmdb` and nothing else, each under its bare name. Raises `Rejected` when the archive is
    damaged, too long or holds none.
    """
    try:
        if packing is Packing.TAR:
            made = _from_tar(archive, into, highest_bytes)
        else:
            with gzip.open(archive, "rb") as packed:
                made = [_written(packed, into / "database.mmdb", highest_bytes)]
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Rejected(f"the archive is damaged: {error}") from None
    except OSError as error:
        raise DatasetError(f"{into} cannot be written: {error.strerror or error}") from None
    if not made or any(file.stat().st_size == 0 for file in made):
        raise Rejected("the archive holds no database (*.mmdb)")
    return sorted(made)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Bounded:
    """A stream that refuses to give more than it may: headers of an archive count too."""

    def __init__(self, stream: _Readable, left: int) -> None:
        self._stream = stream
        self._left = left

    def read(self, size: int, /) -> bytes:
        if size > self._left:
            raise Rejected("the archive is longer, unpacked, than is accepted")
        block = self._stream.read(size)
        self._left -= len(block)
        return block


def _from_tar(archive: Path, into: Path, highest_bytes: int) -> list[Path]:
    made: list[Path] = []
    with gzip.open(archive, "rb") as packed:
        # A pipe of blocks: the archive's own lengths are never believed beyond the bound. One block more than the bound
        # for what tar fills up with.
        stream = _Bounded(packed, highest_bytes + tarfile.RECORDSIZE)
        with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]
            for count, member in enumerate(tar):
                if count >= HIGHEST_MEMBERS:
                    raise Rejected(f"the archive has more than {HIGHEST_MEMBERS} members")
                name = member.name.rpartition("/")[2]
                if not member.isreg() or not _DATABASE.fullmatch(name):
                    continue
                target = into / name
                if target in made:
                    raise Rejected(f"the archive holds {name} twice")
                content = tar.extractfile(member)
                assert content is not None, "a regular file has content"
                made.append(_written(content, target, highest_bytes))
    return made


def _written(content: _Readable, target: Path, highest_bytes: int) -> Path:
    written = 0
    with target.open("xb") as file:
        while block := content.read(_BLOCK):
            written += len(block)
            if written > highest_bytes:
                raise Rejected("the archive is longer, unpacked, than is accepted")
            file.write(block)
    return target
