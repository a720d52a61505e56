"""From what a node is to be to the relay that it has."""

import logging
import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from waymeet.model.errors import Unavailable
from waymeet.model.instant import Clock
from waymeet.node.ports import WantedPort, open_ports
from waymeet.node.relay.choice import WantedEngine, choose, why_not_native
from waymeet.node.relay.endpoints import WANTED_BUFFER
from waymeet.node.relay.engine import RelayEngine
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
    engine: WantedEngine,
    directory: Path,
    avoid: range,
    clock: Clock,
    rng: random.Random,
) -> Relay:
    """A relay on the node's address, open from now on: whoever speaks is told Checking until it knows its sessions.

    Ports that are not named are those of the last time, kept in the node's `directory`, or new ones outside `avoid`.
    Raises `Invalid`, naming the setting, when a port, or the `engine` that is wanted, cannot be had; `Unavailable` when the
    system gives no threads or memory.
    """
    choice = choose(name, engine, why_not_native())
    bind = partial(bind_udp, sets=engine.workers)
    server, client = open_ports(
        name,
        "relay",
        address,
        [
            WantedPort("server_port", bind, wanted.server_port),
            WantedPort("client_port", bind, wanted.client_port),
        ],
        directory=directory,
        highest=HIGHEST_PORT,
        avoid=avoid,
        rng=rng,
    )
    secret = rng.getrandbits(64)
    running: RelayEngine
    if choice.is_native:
        running = _start_native(name, server, client, rules, engine, clock, secret)
    else:
        running = PlainRelay(name, server, client, rules, clock, secret)
    if running.buffer_bytes < WANTED_BUFFER:
        log.warning(
            "node %s: its relay's socket buffers have %d bytes and not %d: bursts may be lost; raise net.core.rmem_max and "
            "net.core.wmem_max",
            name,
            running.buffer_bytes,
            WANTED_BUFFER,
        )
    log.info(
        "node %s: its relay (%s) is at %s, UDP %d for hosts and %d for clients",
        name,
        running.name,
        address,
        running.ports.server_port,
        running.ports.client_port,
    )
    if choice.reason:
        log.info("node %s: the native relay would take less time for each datagram, but %s", name, choice.reason)
    return Relay(running, rules.capacity.sessions)


def _start_native(
    name: str,
    server: Sequence[socket.socket],
    client: Sequence[socket.socket],
    rules: RelayRules,
    engine: WantedEngine,
    clock: Clock,
    secret: int,
) -> RelayEngine:
    # Only there where it was built.
    from waymeet.node.relay.native import NativeRelay

    with ExitStack() as undo:
        for each in (*server, *client):
            undo.enter_context(each)
        try:
            relay = NativeRelay(
                name,
                server,
                client,
                rules,
                clock,
                secret,
                workers=engine.workers,
                spin_microseconds=engine.spin_microseconds,
            )
        except OSError as error:
            raise Unavailable(f"node {name}: its relay cannot be started: {error.strerror or error}") from None
        undo.pop_all()
    return relay
