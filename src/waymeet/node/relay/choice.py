"""Which relay a node runs: the native one where it was built, else the one in Python, unless the settings say."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from importlib.resources.abc import Traversable

import waymeet
from waymeet.model.errors import Invalid

MISSING = "_relay_missing.txt"
"""In the package, where it was built without the native relay: the reason."""
BUILD = "run `make build`, or install Waymeet again"


class EngineKind(StrEnum):
    AUTO = "auto"
    NATIVE = "native"
    PYTHON = "python"


@dataclass(frozen=True, slots=True)
class WantedEngine:
    """What the settings say. More than one worker, and spinning, are the native relay's alone."""

    kind: EngineKind = EngineKind.AUTO
    workers: int = 1
    """Threads that move datagrams; more than one needs Linux."""
    spin_microseconds: int = 0
    """How long a thread looks for more before it sleeps."""


@dataclass(frozen=True, slots=True)
class Choice:
    is_native: bool
    reason: str = ""
    """Why it is not the native one, where that was not asked for."""


def choose(node: str, wanted: WantedEngine, missing: str | None, platform: str = sys.platform) -> Choice:
    """The relay that a node runs, where `missing` keeps the native one from running (`why_not_native`), or `None`.

    Raises `Invalid`, naming the setting, when what is wanted cannot be had.
    """
    if wanted.kind is EngineKind.NATIVE and missing is not None:
        raise _invalid(node, "engine", f'"native" cannot be had: {missing}; or name "auto"')
    is_native = wanted.kind is not EngineKind.PYTHON and missing is None
    reason = missing if wanted.kind is EngineKind.AUTO and missing else ""
    if wanted.workers > 1 and (not is_native or platform != "linux"):
        because = "Linux" if is_native else f"the native relay: {missing}" if reason else "the native relay"
        raise _invalid(node, "workers", f"more than 1 need {because}")
    if wanted.spin_microseconds > 0 and not is_native:
        because = f"the native relay: {missing}" if reason else "the native relay"
        raise _invalid(node, "spin_microseconds", f"more than 0 need {because}")
    return Choice(is_native, reason)


def why_not_native() -> str | None:
    """What keeps the native relay from running here and what to do about it; `None`: nothing."""
    try:
        from waymeet import _relay
    except ImportError as error:
        return why_missing(resources.files(waymeet), error)
    return why_stale(_relay.build_info()["version"])


def why_missing(package: Traversable, error: ImportError) -> str:
    """Why a `package` has no native relay, or one that cannot be loaded."""
    if any(each.name.startswith("_relay.") and each.name.endswith(".so") for each in package.iterdir()):
        return f"it cannot be loaded ({error}); {BUILD}"
    record = package.joinpath(MISSING)
    if record.is_file():
        return f"{record.read_text(encoding='utf-8').strip()}; then {BUILD}"
    return f"it was not built; {BUILD}"


def why_stale(version: str) -> str | None:
    """Why a native relay of this version does not do."""
    if version == waymeet.__version__:
        return None
    return f"it was built for Waymeet {version}; {BUILD}"


def _invalid(node: str, name: str, text: str) -> Invalid:
    setting = f"node {node}: relay.{name}"
    return Invalid({setting: text}, f"{setting}: {text}")
