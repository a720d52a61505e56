"""What makes a node: plain values, decided by whoever starts it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from waymeet.drivers.process import DEFAULT_PORTS, Program
from waymeet.model.location import Location
from waymeet.model.node_messages import Role
from waymeet.node.beacon import WantedPorts
from waymeet.node.probing import ProbeRules
from waymeet.node.relay import RelayRules, WantedEngine, WantedRelayPorts


@dataclass(frozen=True, slots=True)
class NodeDefinition:
    """One node on this machine."""

    name: str
    control_plane_url: str
    """`http://` or `https://`, without the path of the nodes' endpoint."""
    token: str = field(repr=False)
    address: str
    """What game servers are reached by: their `public_ip`."""
    location: Location
    data_directory: Path
    """For this node alone; its servers' files are in `servers` below it."""
    roles: tuple[Role, ...] = (Role.SERVER,)
    driver: str = "process"
    capacity: int = 20
    tags: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
    programs: Mapping[str, Program] = field(default_factory=dict)
    """What the process driver may run, by image."""
    ports: range = DEFAULT_PORTS
    """Ports that its servers may be given. Nodes of one process may share a range."""
    beacon_ports: WantedPorts = WantedPorts()
    """For a node with the role `beacon`."""
    relay_ports: WantedRelayPorts = WantedRelayPorts()
    relay_rules: RelayRules = RelayRules()
    relay_engine: WantedEngine = WantedEngine()
    """All three for a node with the role `relay`."""
    probing: ProbeRules | None = ProbeRules()
    """How it measures round-trip times to players; `None`: not at all."""

    @property
    def connect_url(self) -> str:
        """Where the node's WebSocket goes."""
        scheme, _, rest = self.control_plane_url.partition("://")
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}/nodes/connect"

    @property
    def is_control_plane_local(self) -> bool:
        """Whether its host is this machine's loopback."""
        host = urlsplit(self.control_plane_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"
