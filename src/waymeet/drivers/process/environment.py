"""The variables of a game server's process (contract 3.10)."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from waymeet.model.servers import PortMapping, ServerSpec

MARK = "WAYMEET_SERVER"
"""Set to the server's directory, after everything else: by it the driver recognises a server's processes, wherever they
went."""

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]")


@dataclass(frozen=True, slots=True)
class BeaconAddress:
    """Where the node's own beacon answers."""

    public_ip: str
    udp_port: int
    tcp_port: int


@dataclass(frozen=True, slots=True)
class Host:
    """What a node knows about itself and tells its servers. The clock is the processor's base clock in MHz."""

    id: str
    address: str
    base_clock_mhz: int = 0
    beacon: BeaconAddress | None = None


def build_environment(
    spec: ServerSpec, ports: tuple[PortMapping, ...], host: Host, inherited: Mapping[str, str], mark: str
) -> dict[str, str]:
    """Everything that the server's process finds in its environment.

    A little of the node's own, the platform's variables, then the caller's, each winning over those before; last the
    mark. Nothing else of the node's environment gets through, since that may hold its secrets.
    """
    variables = {name: inherited[name] for name in _INHERITED if name in inherited}
    variables.setdefault("PATH", os.defpath)
    variables |= spec.platform_environment
    variables |= {
        "ARBITRIUM_PUBLIC_IP": host.address,
        "ARBITRIUM_HOST_ID": host.id,
        "ARBITRIUM_HOST_BASE_CLOCK_FREQUENCY": str(host.base_clock_mhz),
        "ARBITRIUM_DEPLOYMENT_VCPU_UNITS": str(spec.cpu_units),
        "ARBITRIUM_DEPLOYMENT_MEMORY_MB": str(spec.memory_mb),
        "ARBITRIUM_BEACON_ENABLED": "true" if host.beacon else "false",
        "ARBITRIUM_PORTS_MAPPING": _ports_mapping(ports),
    }
    if host.beacon is not None:
        variables |= {
            "ARBITRIUM_HOST_BEACON_PUBLIC_IP": host.beacon.public_ip,
            "ARBITRIUM_HOST_BEACON_PORT_UDP_EXTERNAL": str(host.beacon.udp_port),
            "ARBITRIUM_HOST_BEACON_PORT_TCP_EXTERNAL": str(host.beacon.tcp_port),
        }
    for port in ports:
        prefix = f"ARBITRIUM_PORT_{_NOT_IN_A_NAME.sub('_', port.key.upper())}"
        variables |= {
            f"{prefix}_INTERNAL": str(port.internal),
            f"{prefix}_EXTERNAL": str(port.external),
            f"{prefix}_PROTOCOL": port.protocol,
        }
    return variables | spec.environment | {MARK: mark}


def _ports_mapping(ports: tuple[PortMapping, ...]) -> str:
    mapping = {
        port.key: {
            "name": port.key,
            "internal": port.internal,
            "external": port.external,
            "protocol": port.protocol.value,
        }
        for port in ports
    }
    return json.dumps({"ports": mapping}, separators=(",", ":"))
