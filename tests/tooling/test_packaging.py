"""What `pip install` gets: the native relay where there is a cargo, and everything else where there is none."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

import waymeet
from tests.node.relay.conftest import require_native

PROJECT = Path(__file__).parents[2]
MISSING = "waymeet/_relay_missing.txt"


def workspace() -> Mapping[str, str]:
    package: Mapping[str, str] = tomllib.loads((PROJECT / "Cargo.toml").read_text())["workspace"]["package"]
    return package


def build(target: str, place: Path, environment: Mapping[str, str]) -> Path:
    """The sdist or wheel; fails with what the build said."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(place)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = place.iterdir()
    return made


def path_of(place: Path, cargo: str | None) -> Mapping[str, str]:
    """An environment in which nothing is found but what the search for cargo itself needs, and a `cargo` of this text."""
    place.mkdir()
    for name in ("sh", "sed", "dirname"):
        found = shutil.which(name)
        assert found is not None
        (place / name).symlink_to(found)
    for name, text in (("cc", "exit 0"), ("cargo", cargo)):
        if text is not None:
            (place / name).write_text(f"#!/bin/sh\n{text}\n")
            (place / name).chmod(0o755)
    return {**os.environ, "PATH": str(place), "WAYMEET_REQUIRE": ""}


BROKEN = 'case $1 in --version) echo "cargo 1.999.0";; *) echo "error: no way to the registry" >&2; exit 101;; esac'
OLD = 'echo "cargo 1.63.0"'
WITHOUT = [
    pytest.param(None, "cargo is missing; at least", id="without cargo"),
    pytest.param(OLD, "cargo 1.63 is too old; at least", id="with an old one"),
    pytest.param(BROKEN, "cargo failed: error: no way to the registry", id="where it fails"),
]


@pytest.mark.parametrize(("cargo", "reason"), WITHOUT)
def test_a_wheel_without_the_native_relay_fits_every_platform_and_says_why(
    tmp_path: Path, cargo: str | None, reason: str
) -> None:
    wheel = build("wheel", tmp_path / "made", path_of(tmp_path / "bin", cargo))
    assert wheel.name == f"waymeet-{waymeet.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as content:
        assert content.read(MISSING).decode().startswith(reason)
        assert natives(content.namelist()) == []


@pytest.mark.parametrize(("cargo", "reason"), WITHOUT)
def test_where_cargo_is_required_there_is_no_wheel_without_it(tmp_path: Path, cargo: str | None, reason: str) -> None:
    environment = {**path_of(tmp_path / "bin", cargo), "WAYMEET_REQUIRE": "postgres,cargo"}
    with pytest.raises(AssertionError, match=re.escape(reason)):
        build("wheel", tmp_path / "made", environment)


def test_a_wheel_with_the_native_relay_is_for_this_platform_and_every_supported_python(tmp_path: Path) -> None:
    require_native()
    wheel = build("wheel", tmp_path, {**os.environ, "WAYMEET_REQUIRE": "cargo"})
    assert re.fullmatch(rf"waymeet-{re.escape(waymeet.__version__)}-cp311-abi3-(linux|macosx)_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        [description] = (name for name in names if name.endswith(".dist-info/WHEEL"))
        assert "Root-Is-Purelib: false" in content.read(description).decode()
    assert natives(names) == ["waymeet/_relay.abi3.so"]
    assert MISSING not in names
    assert {"waymeet/_relay.pyi", "waymeet/py.typed"} <= set(names)


def test_the_source_distribution_has_what_both_kinds_of_wheel_are_built_from(tmp_path: Path) -> None:
    archive = build("sdist", tmp_path, os.environ)
    with tarfile.open(archive) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    rust = [*PROJECT.glob("relay/*/Cargo.toml"), *PROJECT.glob("relay/*/build.rs"), *PROJECT.glob("relay/*/*/**/*.rs")]
    needed = {"Cargo.toml", "Cargo.lock", "tools/native_part.py", "tools/find-toolchain", "src/waymeet/_relay.pyi"}
    needed |= {str(file.relative_to(PROJECT)) for file in rust}
    assert len(needed) > 30
    assert needed - names == set()
    assert natives(names) == []
    assert f"src/{MISSING}" not in names


def natives(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.endswith((".so", ".pyd"))]


def test_the_native_relay_has_waymeets_version() -> None:
    assert workspace()["version"] == waymeet.__version__


def test_the_readme_asks_for_the_rust_that_is_needed() -> None:
    assert f"cargo {workspace()['rust-version']} or newer" in (PROJECT / "README.md").read_text()
