"""Which npm registry is used, by what is set where."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from waymeet.datasets import registry
from waymeet.datasets.registry import npm_registry

SET, VARIABLE, NPM, SCOPED, FILE = (f"https://{name}.example" for name in ("set", "variable", "npm", "scoped", "file"))


def no_npm(command: Sequence[str]) -> str | None:
    return None


def npm_says(*lines: str) -> registry.Runner:
    return lambda command: "\n".join(lines) + "\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "_SYSTEM_FILE", tmp_path / "etc-npmrc")
    return tmp_path


def test_the_nearest_setting_counts(home: Path) -> None:
    (home / ".npmrc").write_text(f"registry={FILE}/\n")
    everything = {"HOME": str(home), "npm_config_registry": VARIABLE}
    npm = npm_says(f"registry={NPM}/", "@ip-location-db:registry=undefined")
    assert npm_registry(f"{SET}/npm/", everything, npm) == f"{SET}/npm"
    assert npm_registry("", everything, npm) == VARIABLE
    assert npm_registry("", {"HOME": str(home), "NPM_CONFIG_REGISTRY": f"{VARIABLE}/"}, npm) == VARIABLE
    assert npm_registry("", {"HOME": str(home)}, npm) == NPM
    assert npm_registry("", {"HOME": str(home)}, no_npm) == FILE
    assert npm_registry("", {}, no_npm) is None


def test_the_publishers_own_registry_goes_first(home: Path) -> None:
    npm = npm_says(f"registry={NPM}", f"@ip-location-db:registry={SCOPED}")
    assert npm_registry("", {"HOME": str(home)}, npm) == SCOPED
    (home / ".npmrc").write_text(f"registry = {FILE}\n@ip-location-db:registry = {SCOPED}\n@other:registry={NPM}\n")
    assert npm_registry("", {"HOME": str(home)}, no_npm) == SCOPED


def test_files(home: Path) -> None:
    (home / "etc-npmrc").write_text(f'; a comment\n# another\nalways-auth=true\nregistry = "{FILE}/a/"\n')
    assert npm_registry("", {}, no_npm) == f"{FILE}/a"
    elsewhere = home / "elsewhere"
    elsewhere.write_text(f"registry={SCOPED}")
    assert npm_registry("", {"HOME": str(home), "NPM_CONFIG_USERCONFIG": str(elsewhere)}, no_npm) == SCOPED


@pytest.mark.parametrize("text", ["", "undefined", "ftp://x.example", "file:///etc", "null", "registry"])
def test_what_is_no_registry(home: Path, text: str) -> None:
    (home / ".npmrc").write_text(f"registry={text}\n")
    environment = {"HOME": str(home), "npm_config_registry": text}
    assert npm_registry("", environment, npm_says(f"registry={text}")) is None


def test_strange_files(home: Path) -> None:
    (home / ".npmrc").write_bytes(b"\xff\xfe=\0\nregistry=" + FILE.encode() + b"\n")
    assert npm_registry("", {"HOME": str(home)}, no_npm) == FILE
    (home / ".npmrc").unlink()
    (home / ".npmrc").mkdir()
    assert npm_registry("", {"HOME": str(home)}, no_npm) is None


def test_a_program_that_is_not_there_or_fails() -> None:
    assert registry._output(["waymeet-no-such-program"]) is None
    assert registry._output(["false"]) is None
    assert registry._output(["echo", "registry=x"]) == "registry=x\n"
