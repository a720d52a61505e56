"""From what a node is to be to the beacon that it has."""

import logging
import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from waymeet.node.beacon.ports import HIGHEST_PORT, WantedPorts
from waymeet.node.beacon.serving import Beacon
from waymeet.node.ports import bind_any, bind_wanted, keep, read_kept
from waymeet.node.sockets import bind_tcp, bind_udp

log = logging.getLogger(__name__)

KEPT_IN = "beacon.json"


def open_beacon(
    name: str,
    address: str,
    wanted: WantedPorts,
    *,
    directory: Path,
    avoid: range,
    monotonic: Callable[[], float],
    rng: random.Random,
) -> Beacon:
    """A beacon on the node's address, answering from now on.

    Ports that are not named are those of the last time, kept in the node's `directory`, or new ones outside `avoid`.
    Raises `Invalid`, naming the setting, when a port cannot be had.
    """
    file = directory / KEPT_IN
    kept_udp, kept_tcp = read_kept(file, ("udp_port", "tcp_port"), HIGHEST_PORT)
    with ExitStack() as undo:
        pairs = []
        for setting, bind, port, before in (
            ("beacon.udp_port", bind_udp, wanted.udp_port, kept_udp),
            ("beacon.tcp_port", bind_tcp, wanted.tcp_port, kept_tcp),
        ):
            here = f"node {name}: {setting}"
            if port is None:
                sockets = bind_any(bind, address, before, avoid, rng, here, "beacon")
            else:
                sockets = bind_wanted(bind, address, port, here)
            for endpoint in sockets:
                undo.enter_context(endpoint)
            pairs.append(sockets)
        udp, tcp = pairs
        beacon = Beacon(name, udp, tcp, monotonic)
        undo.pop_all()
    ports = beacon.ports
    try:
        keep(file, {"udp_port": ports.udp_port, "tcp_port": ports.tcp_port})
    except OSError as error:
        log.warning("node %s: its beacon's ports will be others after a restart: %s", name, error)
    beacon.start()
    log.info("node %s: its beacon answers on %s, UDP %d and TCP %d", name, address, ports.udp_port, ports.tcp_port)
    return beacon
