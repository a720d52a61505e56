"""Putting nodes together."""

import os
import random

from waymeet.clock import SystemClock
from waymeet.drivers.process import Program
from waymeet.logs import configure_logs
from waymeet.node.beacon import WantedPorts
from waymeet.node.definition import NodeDefinition
from waymeet.node.host import run_nodes
from waymeet.node.probing import ProbeRules
from waymeet.node.relay import Capacity, EngineKind, RelayRules, WantedEngine, WantedRelayPorts
from waymeet.settings import RelaySettings, Settings
from waymeet.settings.nodes import ProbeSettings

USERS_PER_RELAY_SESSION = 100
"""On average: a relay that is full of sessions has room for so many times as many users."""


def run(
    settings: Settings, *, url: str, token: str, stop_servers: bool, stop_at_once: bool, supervised_fd: int | None
) -> None:
    """Run every node of `settings` in this process."""
    configure_logs(settings.log.format, settings.log.level)
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
            relay_ports=WantedRelayPorts(node.relay.server_port, node.relay.client_port),
            relay_rules=_relay_rules(node.relay),
            relay_engine=WantedEngine(EngineKind(node.relay.engine), node.relay.workers, node.relay.spin_microseconds),
            probing=_probing(node.probe),
        )
        for node in settings.nodes
    ]


def _relay_rules(chosen: RelaySettings) -> RelayRules:
    return RelayRules(
        owner_timeout=_nanoseconds(chosen.owner_timeout_seconds),
        client_idle_timeout=_nanoseconds(chosen.client_idle_seconds),
        session_idle_timeout=_nanoseconds(60 * chosen.session_idle_minutes),
        session_unused_timeout=_nanoseconds(60 * chosen.session_unused_minutes),
        enforce_source_ip=chosen.enforce_source_ip,
        answer_strangers=chosen.answer_strangers,
        capacity=Capacity(sessions=chosen.capacity, users=chosen.capacity * USERS_PER_RELAY_SESSION),
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


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
