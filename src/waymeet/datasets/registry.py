"""Which npm registry this machine uses. Waymeet knows none by itself: mirrors and closed networks have their own."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SCOPE = "@ip-location-db"
"""A registry may be set for the packages of one publisher alone."""
_VARIABLES = ("npm_config_registry", "NPM_CONFIG_REGISTRY")
_SYSTEM_FILE = Path("/etc/npmrc")
_LONGEST_FILE = 1024 * 1024
_NPM_SECONDS = 20.0

Runner = Callable[[Sequence[str]], str | None]
"""Runs a program and gives its output; `None` when it is not there or fails."""


def npm_registry(setting: str, environment: Mapping[str, str], run: Runner | None = None) -> str | None:
    """The registry's URL without a slash at its end, or `None` when none is set and npm is not installed.

    In this order: `setting`, the environment (`npm_config_registry`), what npm itself says, `.npmrc` in the home directory,
    `/etc/npmrc`. Within one place a registry for the publisher's scope goes first.
    """
    if setting:
        return setting.rstrip("/")
    for variable in _VARIABLES:
        if found := _url(environment.get(variable)):
            return found
    told = (run or _output)(["npm", "config", "get", f"{SCOPE}:registry", "registry"])
    if told and (found := _chosen(told)):
        return found
    home = environment.get("HOME")
    user_file = environment.get("NPM_CONFIG_USERCONFIG") or (f"{home}/.npmrc" if home else None)
    for file in (Path(user_file) if user_file else None, _SYSTEM_FILE):
        if file is not None and (found := _chosen(_content(file))):
            return found
    return None


def _chosen(text: str) -> str | None:
    """From lines such as `registry=https://...`, the one for the scope, else the general one."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and (url := _url(value)):
            entries[name.strip()] = url
    return entries.get(f"{SCOPE}:registry") or entries.get("registry")


def _url(text: str | None) -> str | None:
    cleaned = (text or "").strip().strip("\"'").rstrip("/")
    return cleaned if cleaned.startswith(("https://", "http://")) else None


def _content(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(_LONGEST_FILE)
    except OSError:
        return ""


def _output(command: Sequence[str]) -> str | None:
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        result = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=_NPM_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None
