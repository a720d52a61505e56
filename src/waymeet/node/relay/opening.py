"""From what a node is to be to the relay that it has."""

import logging
import random
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from waymeet.model.instant import Clock
from waymeet.node.ports import bind_any, bind_wanted, keep, read_kept
from waymeet.node.relay.endpoints import WANTED_BUFFER
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.serving import Relay
from waymeet.node.sockets import bind_udp

log = logging.getLogger(__name__)

KEPT_IN = "relay.json"
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
    file = directory / KEPT_IN
    kept_server, kept_client = read_kept(file, ("server_port", "client_port"), HIGHEST_PORT)
    with ExitStack() as undo:
        pairs = []
        for setting, port, before in (
            ("relay.server_port", wanted.server_port, kept_server),
            ("relay.client_port", wanted.client_port, kept_client),
        ):
            here = f"node {name}: {setting}"
            if port is None:
                sockets = bind_any(bind_udp, address, before, avoid, rng, here, "relay")
            else:
                sockets = bind_wanted(bind_udp, address, port, here)
            for endpoint in sockets:
                undo.enter_context(endpoint)
            pairs.append(sockets)
        server, client = pairs
        engine = PlainRelay(name, server, client, rules, clock, rng.getrandbits(64))
        undo.pop_all()
    ports = engine.ports
    try:
        keep(file, {"server_port": ports.server_port, "client_port": ports.client_port})
    except OSError as error:
        log.warning("node %s: its relay's ports will be others after a restart: %s", name, error)
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
