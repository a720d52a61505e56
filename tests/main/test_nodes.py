"""From settings to what makes a node."""

from dataclasses import asdict

from waymeet.main.nodes import definitions
from waymeet.node.relay import EngineKind, WantedEngine, WantedRelayPorts
from waymeet.settings import NodeSettings, RelaySettings, Settings


def test_what_the_settings_say_of_a_relay_reaches_the_node() -> None:
    chosen = RelaySettings(
        server_port=1,
        client_port=2,
        engine="native",
        workers=3,
        spin_microseconds=4,
        capacity=5,
        enforce_source_ip=True,
        answer_strangers=False,
        owner_timeout_seconds=11,
        client_idle_seconds=12,
        session_idle_minutes=13,
        session_unused_minutes=14,
    )
    [node] = definitions(Settings(nodes=(NodeSettings(name="paris", relay=chosen),)), "http://127.0.0.1:8080", "t")
    assert node.relay_ports == WantedRelayPorts(1, 2)
    assert node.relay_engine == WantedEngine(EngineKind.NATIVE, 3, 4)
    rules = asdict(node.relay_rules)
    assert {name: value for name, value in rules.items() if not isinstance(value, dict)} == {
        "owner_timeout": 11 * 10**9,
        "client_idle_timeout": 12 * 10**9,
        "session_idle_timeout": 13 * 60 * 10**9,
        "session_unused_timeout": 14 * 60 * 10**9,
        "enforce_source_ip": True,
        "answer_strangers": False,
    }
    assert (node.relay_rules.capacity.sessions, node.relay_rules.capacity.users) == (5, 500)
