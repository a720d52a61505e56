"""The commands as scripts and service files use them: flags, exit codes, messages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.polling import GENEROUS_SECONDS, eventually
from tests.ports import PortWindow
from waymeet.cli.app import app
from waymeet.cli.programs import choose_nodes
from waymeet.cli.up import banner, kept_token
from waymeet.settings import Command, SettingsError, load
from waymeet.supervise import answers_ready

FLAGS = {
    "up": ["--config", "--data", "--database-url", "--host", "--log-level", "--port", "--sample", "--token"],
    "serve": ["--config", "--data", "--database-url", "--host", "--log-level", "--port", "--sample", "--token"],
    "node": ["--config", "--data", "--log-level", "--name", "--stop-servers", "--token", "--url"],
    "demo": ["--data", "--token", "--url"],
    "beacons list": ["--data", "--json", "--token", "--url"],
    "beacons ping": ["--count", "--data", "--json", "--report", "--tcp", "--timeout", "--token", "--url"],
    "doctor": ["--config", "--data", "--database-url", "--host", "--port"],
    "geo update": ["--check", "--config", "--directory", "--source"],
    "geo status": ["--config", "--directory"],
    "relay load": [
        "--base-url",
        "--client-port",
        "--clients",
        "--data",
        "--host-token",
        "--json",
        "--location",
        "--max-loss",
        "--rate",
        "--seconds",
        "--server-port",
        "--session-token",
        "--sessions",
        "--size",
        "--token",
        "--user-token",
    ],
    "relay ping": [
        "--client-port",
        "--host-token",
        "--json",
        "--server-port",
        "--session-token",
        "--timeout",
        "--user-token",
    ],
    "token create": ["--config", "--data", "--database-url", "--name", "--organisation", "--scope"],
    "token list": ["--config", "--data", "--database-url", "--organisation"],
    "token revoke": ["--config", "--data", "--database-url", "--organisation"],
}


def waymeet(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("WAYMEET_")}
    return subprocess.run(
        [sys.executable, "-m", "waymeet.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=GENEROUS_SECONDS,
        env=inherited | {"HOME": str(home), "NO_COLOR": "1", "COLUMNS": "120"} | environment,
    )


def help_of(*command: str) -> str:
    return CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output


class TestFlags:
    @pytest.mark.parametrize("command", FLAGS)
    def test_are_those_that_scripts_rely_on(self, command: str) -> None:
        shown = set(re.findall(r"^\W*(--[a-z-]+)", help_of(*command.split()), re.MULTILINE))
        assert sorted(shown - {"--help"}) == FLAGS[command]

    def test_every_command_is_listed_here(self) -> None:
        def commands(*group: str) -> set[str]:
            return set(re.findall(r"^\W*([a-z]+) ", help_of(*group).partition("Commands")[2], re.MULTILINE))

        groups = {"beacons", "geo", "relay", "token"}
        names = (commands() - groups) | {f"{group} {name}" for group in groups for name in commands(group)}
        assert names == set(FLAGS)


class TestMessages:
    def test_version(self, tmp_path: Path) -> None:
        said = waymeet("--version", home=tmp_path).stdout
        assert re.fullmatch(r"waymeet \d+\.\d+\.\d+, Python 3\.\d+\.\d+, relay (native|in Python)\n", said)

    def test_settings_mistake(self, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_text("prot = 1")
        done = waymeet("up", "--config", str(tmp_path / "a.toml"), home=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith('unknown key "prot" in ')

    def test_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        done = waymeet("up", "--data", str(tmp_path / "file" / "below"), home=tmp_path)
        assert done.returncode == 1
        assert "name another with --data" in done.stderr

    def test_help_needs_no_colour(self, tmp_path: Path) -> None:
        assert "\x1b" not in waymeet("--help", home=tmp_path).stdout


class TestTokens:
    @pytest.mark.slow
    def test_made_listed_revoked(self, tmp_path: Path) -> None:
        made = waymeet("token", "create", "--name", "build server", "--scope", "api", home=tmp_path)
        assert made.returncode == 0, made.stderr
        assert re.fullmatch(r"[0-9a-f-]{36}\n", made.stdout)
        listed = waymeet("token", "list", home=tmp_path).stdout
        assert "build server" in listed
        assert made.stdout.strip() not in listed, "the secret is shown once"
        token_id = listed.splitlines()[1].split()[0]
        assert waymeet("token", "revoke", token_id, home=tmp_path).returncode == 0
        revoked = waymeet("token", "list", home=tmp_path).stdout
        assert len(revoked.splitlines()[1].split()) > len(listed.splitlines()[1].split())

    def test_unknown_scope(self, tmp_path: Path) -> None:
        done = waymeet("token", "create", "--scope", "everything", home=tmp_path)
        assert done.returncode == 1
        assert "scopes: one or more of api, relay, node" in done.stderr

    def test_is_made_once_and_kept_private(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        first = kept_token(file)
        assert kept_token(file) == first
        assert file.stat().st_mode & 0o777 == 0o600


class TestUp:
    def test_second_one_on_the_same_directory_is_refused(self, tmp_path: Path) -> None:
        # Only the lock matters here; whether the first one ever gets ready does not.
        with (
            PortWindow() as ports,
            subprocess.Popen(
                [sys.executable, "-m", "waymeet.cli", "up", "--data", str(tmp_path), "--port", str(ports.take())],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"WAYMEET_LOG_LEVEL": "error"},
            ) as first,
        ):
            try:
                lock = tmp_path / "run" / "up.lock"
                eventually(lambda: lock.exists() and lock.read_text().strip() == str(first.pid))
                second = waymeet("up", "--data", str(tmp_path), home=tmp_path)
            finally:
                first.terminate()
        assert second.returncode == 1
        assert f"(process {first.pid})" in second.stderr
        assert "--data" in second.stderr

    def test_banner_has_what_a_first_call_needs(self, tmp_path: Path) -> None:
        settings = load(Command.UP, environment={"HOME": "/h", "WAYMEET_TOKEN": "s3cret"})
        said = banner(settings, kept_in=tmp_path / "token", sample=True)
        for part in (settings.public_url, "s3cret", "/docs", "Ctrl-C", str(tmp_path / "token"), "/v1/deploy"):
            assert part in said


class TestChoosingNodes:
    def test_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_text('[[nodes]]\nname = "a"\ncapacity = 3\n[[nodes]]\nname = "b"')
        settings = load(Command.NODE, environment={"HOME": "/h"}, config=tmp_path / "a.toml")
        assert [node.name for node in choose_nodes(settings, None).nodes] == ["a", "b"]
        assert [node.capacity for node in choose_nodes(settings, "a").nodes] == [3]
        with pytest.raises(SettingsError, match="it has a, b"):
            choose_nodes(settings, "c")

    def test_default_one_with_a_name(self) -> None:
        settings = load(Command.NODE, environment={"HOME": "/h"})
        assert [node.name for node in choose_nodes(settings, "paris").nodes] == ["paris"]
        with pytest.raises(SettingsError, match="--name"):
            choose_nodes(settings, "Paris!")
        with pytest.raises(SettingsError, match=r"\[\[nodes\]\]"):
            choose_nodes(settings, None)


def test_nothing_is_ready_where_nothing_listens() -> None:
    assert answers_ready(("127.0.0.1", 1)) is False
