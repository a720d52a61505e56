"""Putting nodes together."""

import logging
import os
import random

from waymeet.clock import SystemClock
from waymeet.drivers.process import Program
from waymeet.logs import configure_logs
from waymeet.model.node_messages import Role
from waymeet.node.beacon import WantedPorts
from waymeet.node.definition import NodeDefinition
from waymeet.node.host import run_nodes
from waymeet.node.probing import ProbeRules
from waymeet.settings import Settings
from waymeet.settings.types import ProbeSettings

_log = logging.getLogger(__name__)


def run(
    settings: Settings, *, url: str, token: str, stop_servers: bool, stop_at_once: bool, supervised_fd: int | None
) -> None:
    """Run every node of `settings` in this process."""
    configure_logs(settings.log.format, settings.log.level)
    for node in settings.nodes:
        if Role.RELAY in node.roles:
            _log.warning("node %s: the role relay is not part of this release yet, and ignored", node.name)
    run_nodes(
        definitions(settings, url, token),
        clock=SystemClock(),
        rng=random.SystemRandom(),
        environment=os.environ,
        stop_servers=stop_servers,
        stop_at_once=stop_at_once,
        supervised_fd=supervised_fd,
    )


def definitions(settings: Settings, url: str, token: str) -> list[NodeDefinition]:
    """The nodes that `settings` describe."""
    programs = {
        image: Program(program.command, allow_command=program.allow_command)
        for image, program in settings.programs.items()
    }
    return [
        NodeDefinition(
            name=node.name,
            control_plane_url=url,
            token=token,
            address=node.address,
            location=node.location,
            data_directory=settings.data / "nodes" / node.name,
            roles=node.roles,
            driver=node.driver,
            capacity=node.capacity,
            tags=node.tags,
            region=node.region,
            programs=programs,
            ports=node.port_range,
            beacon_ports=WantedPorts(node.beacon.udp_port, node.beacon.tcp_port),
            probing=_probing(node.probe),
        )
        for node in settings.nodes
    ]


def _probing(chosen: ProbeSettings) -> ProbeRules | None:
    if not chosen.enabled:
        return None
    return ProbeRules(
        allow_private=chosen.allow_private,
        budget_seconds=chosen.budget_ms / 1000,
        samples=chosen.samples,
        tcp_ports=chosen.tcp_ports,
        per_second=chosen.per_second,
    )
