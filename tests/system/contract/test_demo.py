"""`waymeet demo` against a running server."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.polling import GENEROUS_SECONDS
from tests.system.contract.studio import Server, Studio

UNKNOWN_KEY = "3f0e7c1a-5b1d-4c8e-9a67-2f6d1b0c9e11"


def tour(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A tour that has ended. With a home directory of its own, so that nobody's real token is found there."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WAYMEET_")}
    return subprocess.run(
        [sys.executable, "-m", "waymeet.cli", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=GENEROUS_SECONDS,
        env=inherited | {"HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"} | environment,
    )


def test_is_all_green_and_leaves_no_trace(server: Server, studio: Studio, tmp_path: Path) -> None:
    key = str(studio.api.authorization)
    ended = tour(tmp_path, "--url", server.url, "--token", key)
    assert ended.returncode == 0, ended.stdout
    assert "That was the whole story" in ended.stdout
    application = re.search(r"demo-[0-9a-f]{6}", ended.stdout)
    assert application is not None, ended.stdout
    assert studio.api.get("/v1/apps")["applications"] == []
    assert studio.api.get("/v1/sessions")["data"] == []
    assert studio.api.get("/v1/lobbies") == []
    assert studio.api.get("/v1/relays/sessions")["sessions"] == []
    assert studio.running() == []
    # Everything the story tells of was really there: several servers, each of them ended now.
    assert len(set(re.findall(r"\b[0-9a-f]{12}\b", ended.stdout))) >= 2
    # And why the first one runs where it does: what the place costs each of the two players, by estimate.
    chosen = re.search(r"ok (\w+) was chosen: ([\d.]+) ms", ended.stdout)
    assert chosen is not None, ended.stdout
    city, worst = chosen.groups()
    assert f" in {city} is ready after" in ended.stdout
    assert re.search(
        rf"{city}: {worst} ms at worst \(198\.51\.100\.1 about [\d.]+ ms, estimated, 198\.51\.100\.2 ", ended.stdout
    )
    # Two players met in a lobby, and spoke through its relay.
    assert f"lobby {application[0]} answers at {server.url}/l/{application[0]}" in ended.stdout
    assert "ben said hello to amara through the relay and heard it back" in ended.stdout


def test_takes_url_and_token_from_the_environment(server: Server, studio: Studio, tmp_path: Path) -> None:
    key = str(studio.api.authorization).removeprefix("token ")
    ended = tour(tmp_path, WAYMEET_URL=server.url, WAYMEET_TOKEN=key)
    assert ended.returncode == 0, ended.stdout


def test_without_a_token(server: Server, tmp_path: Path) -> None:
    ended = tour(tmp_path, "--url", server.url)
    assert ended.returncode == 2
    assert "give --token or WAYMEET_TOKEN" in ended.stdout


def test_finds_the_token_that_up_keeps(server: Server, tmp_path: Path) -> None:
    """Refused here, since this server was given another one; but it was found."""
    (tmp_path / "token").write_text(f"{UNKNOWN_KEY}\n")
    ended = tour(tmp_path, "--url", server.url, "--data", str(tmp_path))
    assert ended.returncode == 1
    assert "--token or WAYMEET_TOKEN" in ended.stdout


def test_with_a_wrong_token_or_no_server(server: Server, tmp_path: Path) -> None:
    ended = tour(tmp_path, "--url", server.url, "--token", UNKNOWN_KEY)
    assert ended.returncode == 1
    assert "Give the server's token" in ended.stdout
    ended = tour(tmp_path, "--url", "http://127.0.0.1:9", "--token", "x")
    assert ended.returncode == 1
    assert "Start a server with `waymeet up`" in ended.stdout
