"""From what a node is to be to the relay that it has."""

import logging
import random
from dataclasses import dataclass
from pathlib import Path

from waymeet.model.instant import Clock
from waymeet.node.ports import WantedPort, open_ports
from waymeet.node.relay.endpoints import WANTED_BUFFER
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.serving import Relay
from waymeet.node.sockets import bind_udp

log = logging.getLogger(__name__)

HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class WantedRelayPorts:
    """What the settings say; `None` leaves the choice to the node."""

    server_port: int | None = None
    client_port: int | None = None


def open_relay(
    name: str,
    address: str,
    wanted: WantedRelayPorts,
    rules: RelayRules,
    *,
    directory: Path,
    avoid: range,
    clock: Clock,
    rng: random.Random,
) -> Relay:
    """A relay on the node's address, open from now on: whoever speaks is told Checking until it knows its sessions.

    Ports that are not named are those of the last time, kept in the node's `directory`, or new ones outside `avoid`.
    Raises `Invalid`, naming the setting, when a port cannot be had.
    """
    server, client = open_ports(
        name,
        "relay",
        address,
        [
            WantedPort("server_port", bind_udp, wanted.server_port),
            WantedPort("client_port", bind_udp, wanted.client_port),
        ],
        directory=directory,
        highest=HIGHEST_PORT,
        avoid=avoid,
        rng=rng,
    )
    engine = PlainRelay(name, server, client, rules, clock, rng.getrandbits(64))
    ports = engine.ports
    if engine.buffer_bytes < WANTED_BUFFER:
        log.warning(
            "node %s: its relay's socket buffers have %d bytes and not %d: bursts may be lost; raise net.core.rmem_max and "
            "net.core.wmem_max",
            name,
            engine.buffer_bytes,
            WANTED_BUFFER,
        )
    log.info(
        "node %s: its relay (%s) is at %s, UDP %d for hosts and %d for clients",
        name,
        engine.name,
        address,
        ports.server_port,
        ports.client_port,
    )
    return Relay(engine, rules.capacity.sessions)
