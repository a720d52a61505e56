"""From what the settings say to the relay that a node has."""

import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.clocks import ManualClock
from tests.node.relay.peers import ADDRESS, RULES
from waymeet.model.errors import Invalid
from waymeet.node.ports import CHOSEN_FROM
from waymeet.node.relay import EngineKind, Relay, WantedEngine, WantedRelayPorts, open_relay
from waymeet.node.relay.choice import Choice, choose

WHY = "cargo is missing"


class OpenRelay(Protocol):
    def __call__(self, wanted: WantedRelayPorts | None = None) -> Relay: ...


@pytest.fixture
def opened(tmp_path: Path, clock: ManualClock, kind: str) -> Iterator[OpenRelay]:
    made: list[Relay] = []

    def open_one(wanted: WantedRelayPorts | None = None) -> Relay:
        made.append(
            open_relay(
                "paris",
                ADDRESS,
                wanted or WantedRelayPorts(),
                RULES,
                engine=WantedEngine(EngineKind(kind)),
                directory=tmp_path / "node",
                avoid=range(0),
                clock=clock,
                rng=random.Random(),
            )
        )
        return made[-1]

    yield open_one
    for relay in made:
        relay.close()


def test_ports_are_chosen_and_kept(opened: OpenRelay) -> None:
    first = opened()
    assert {first.ports.server_port, first.ports.client_port} <= set(CHOSEN_FROM)
    assert first.ports.server_port != first.ports.client_port
    assert first.capacity == 500
    first.close()
    assert opened().ports == first.ports


def test_ports_that_are_named_are_used(opened: OpenRelay) -> None:
    free = opened()
    free.close()
    named = WantedRelayPorts(free.ports.client_port, free.ports.server_port)
    ports = opened(named).ports
    assert (ports.server_port, ports.client_port) == (free.ports.client_port, free.ports.server_port)


def test_a_named_port_that_is_taken_is_an_error_and_leaves_nothing_open(opened: OpenRelay) -> None:
    taken = opened().ports
    with pytest.raises(Invalid, match=r"^node paris: relay\.client_port: .*name another port"):
        opened(WantedRelayPorts(client_port=taken.client_port))


@pytest.mark.parametrize("content", ["", "{", '{"server_port": 5}', '{"server_port": "5", "client_port": 70000}'])
def test_ports_are_chosen_anew_where_nothing_usable_is_kept(opened: OpenRelay, tmp_path: Path, content: str) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "relay.json").write_text(content)
    ports = opened().ports
    assert {ports.server_port, ports.client_port} <= set(CHOSEN_FROM)
    kept = json.loads((tmp_path / "node" / "relay.json").read_text())
    assert kept == {"server_port": ports.server_port, "client_port": ports.client_port}


def test_the_log_says_which_relay_runs_and_where(
    opened: OpenRelay, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        ports = opened().ports
    said = f"its relay ({kind}) is at {ADDRESS}, UDP {ports.server_port} for hosts and {ports.client_port} for clients"
    assert said in caplog.text


def test_small_buffers_are_warned_of(
    opened: OpenRelay, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waymeet.node.relay.opening.WANTED_BUFFER", 1 << 40)
    opened()
    assert "bursts may be lost; raise net.core.rmem_max" in caplog.text


class TestChoice:
    @pytest.mark.parametrize(
        ("kind", "missing", "choice"),
        [
            (EngineKind.AUTO, None, Choice(True)),
            (EngineKind.AUTO, WHY, Choice(False, WHY)),
            (EngineKind.NATIVE, None, Choice(True)),
            (EngineKind.PYTHON, None, Choice(False)),
            (EngineKind.PYTHON, WHY, Choice(False)),
        ],
    )
    def test_the_native_relay_runs_where_it_can_unless_the_settings_say(
        self, kind: EngineKind, missing: str | None, choice: Choice
    ) -> None:
        assert choose("paris", WantedEngine(kind), missing) == choice

    @pytest.mark.parametrize(
        ("wanted", "missing", "platform", "message"),
        [
            (WantedEngine(EngineKind.NATIVE), WHY, "linux", rf'relay\.engine: "native" cannot be had: {WHY}'),
            (WantedEngine(workers=2), WHY, "linux", rf"relay\.workers: more than 1 need the native relay: {WHY}"),
            (WantedEngine(workers=2), None, "darwin", r"relay\.workers: more than 1 need Linux"),
            (WantedEngine(EngineKind.PYTHON, workers=2), None, "linux", r"relay\.workers: .* need the native relay$"),
            (WantedEngine(spin_microseconds=5), WHY, "linux", rf"relay\.spin_microseconds: more than 0 .*: {WHY}"),
            (WantedEngine(EngineKind.PYTHON, spin_microseconds=5), None, "linux", r"relay\.spin_microseconds: "),
        ],
    )
    def test_what_cannot_be_had_is_an_error_that_names_the_setting(
        self, wanted: WantedEngine, missing: str | None, platform: str, message: str
    ) -> None:
        with pytest.raises(Invalid, match=f"^node paris: {message}"):
            choose("paris", wanted, missing, platform)
