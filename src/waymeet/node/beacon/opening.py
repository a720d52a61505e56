"""From what a node is to be to the beacon that it has."""

import logging
import random
from collections.abc import Callable
from pathlib import Path

from waymeet.node.beacon.ports import HIGHEST_PORT, WantedPorts
from waymeet.node.beacon.serving import Beacon
from waymeet.node.ports import WantedPort, open_ports
from waymeet.node.sockets import bind_tcp, bind_udp

log = logging.getLogger(__name__)


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
    udp, tcp = open_ports(
        name,
        "beacon",
        address,
        [WantedPort("udp_port", bind_udp, wanted.udp_port), WantedPort("tcp_port", bind_tcp, wanted.tcp_port)],
        directory=directory,
        highest=HIGHEST_PORT,
        avoid=avoid,
        rng=rng,
    )
    beacon = Beacon(name, udp, tcp, monotonic)
    ports = beacon.ports
    beacon.start()
    log.info("node %s: its beacon answers on %s, UDP %d and TCP %d", name, address, ports.udp_port, ports.tcp_port)
    return beacon
