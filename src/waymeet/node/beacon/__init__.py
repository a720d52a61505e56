"""The node's beacon: echoes small datagrams and short TCP messages, so that players can measure the way to here."""

from waymeet.node.beacon.opening import open_beacon
from waymeet.node.beacon.ports import WantedPorts
from waymeet.node.beacon.serving import Beacon

__all__ = ["Beacon", "WantedPorts", "open_beacon"]
