"""Builds the native relay into wheels and into the checkout of an editable install. Hatchling runs it (pyproject.toml).

Where it cannot be built, the wheel is one for every platform, with the relay in Python alone, and the build succeeds: pip
shows nothing of that, so the wheel says itself what was missing, for `waymeet doctor`.

WAYMEET_NATIVE=none     leave it out
WAYMEET_REQUIRE=cargo   fail instead of leaving it out
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

PACKAGE = "waymeet"
MODULE = "_relay"
MISSING = "_relay_missing.txt"
"""Beside the modules of the package: the reason, where there is no native part."""


class NotBuilt(Exception):
    """There is no native part; the message says why."""


class NativePart(BuildHookInterface[BuilderConfig]):
    """What goes into the wheel: the module and a fitting tag, or the reason why there is none."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        self._made = tempfile.TemporaryDirectory()
        try:
            library, name = build(root), module_name()
        except NotBuilt as reason:
            if "cargo" in os.environ.get("WAYMEET_REQUIRE", "").split(","):
                raise
            self.app.display_warning(f"The native relay is not built, the one in Python will run: {reason}")
            library, name = Path(self._made.name, MISSING), MISSING
            library.write_text(f"{reason}\n", encoding="utf-8")
        else:
            build_data |= {"pure_python": False, **tags()}
        if version == "editable":
            install(library, root / "src" / PACKAGE / name)
        else:
            build_data["force_include"][str(library)] = f"{PACKAGE}/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._made.cleanup()


def build(root: Path) -> Path:
    """The module as cargo made it, with optimisation. Raises `NotBuilt`."""
    if os.environ.get("WAYMEET_NATIVE") == "none":
        raise NotBuilt("it was left out on purpose (WAYMEET_NATIVE=none)")
    if sys.implementation.name != "cpython" or sys.platform == "win32":
        raise NotBuilt("it needs CPython on Linux or macOS")
    found = subprocess.run(["sh", root / "tools" / "find-toolchain"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise NotBuilt("; ".join(found.stderr.splitlines()))
    command = ["cargo", "build", "--release", "--locked", "--package", "relay-py"]
    command += ["--message-format", "json-render-diagnostics"]
    cargo = subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True, check=False)
    sys.stderr.write(cargo.stderr)
    if cargo.returncode != 0:
        errors = [line for line in cargo.stderr.splitlines() if line.startswith("error")]
        raise NotBuilt(f"cargo failed: {(errors or ['it says nothing'])[0]}")
    for line in cargo.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == MODULE:
            return Path(message["filenames"][0])
    raise NotBuilt("cargo made no module")


def environment() -> dict[str, str]:
    """This process's, and what PyO3 goes by."""
    chosen = {"PYO3_PYTHON": sys.executable} if free_threaded() else {"PYO3_NO_PYTHON": "1"}
    return {**os.environ, "PYO3_BUILD_EXTENSION_MODULE": "1", **chosen}


def free_threaded() -> bool:
    """Without the GIL there is no stable ABI before Python 3.15: the module is for this version of Python alone."""
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def module_name() -> str:
    suffix = sysconfig.get_config_var("EXT_SUFFIX") if free_threaded() else ".abi3.so"
    return f"{MODULE}{suffix}"


def tags() -> dict[str, Any]:
    """What the wheel fits: this kind of machine, and each Python from the oldest one on that we support."""
    if free_threaded():
        return {"infer_tag": True}
    # Whether it fits any Linux of some age, as manylinux says, nobody has looked at.
    platform = next(tag for tag in platform_tags() if not tag.startswith(("manylinux", "musllinux")))
    return {"tag": f"cp311-abi3-{platform}"}


def install(made: Path, place: Path) -> None:
    """Put it there instead of what an earlier build left."""
    earlier = {*place.parent.glob(f"{MODULE}.*.so"), place.with_name(MISSING)} - {place}
    # Never written over: programs that run have the old one in their memory.
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    draft.write_bytes(made.read_bytes())
    draft.replace(place)
    for each in earlier:
        each.unlink(missing_ok=True)
