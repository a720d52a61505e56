"""The ports of a beacon."""

from dataclasses import dataclass

HIGHEST_PORT = 59_999
"""What clients accept (contract 2.14)."""


@dataclass(frozen=True, slots=True)
class WantedPorts:
    """What the settings say; `None` leaves the choice to the node."""

    udp_port: int | None = None
    tcp_port: int | None = None
