"""The node's relay: passes datagrams between hosts and their players, and lets in whom the control plane names."""

from waymeet.node.relay.choice import EngineKind, WantedEngine
from waymeet.node.relay.opening import WantedRelayPorts, open_relay
from waymeet.node.relay.rules import Capacity, RelayRules
from waymeet.node.relay.serving import Relay, RelayConversation

__all__ = [
    "Capacity",
    "EngineKind",
    "Relay",
    "RelayConversation",
    "RelayRules",
    "WantedEngine",
    "WantedRelayPorts",
    "open_relay",
]
