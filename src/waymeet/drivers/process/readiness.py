"""Whether a server really answers on its ports: never only that its process was started."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence

from waymeet.drivers.process import processes
from waymeet.drivers.process.processes import Endpoint
from waymeet.model.servers import PortMapping

CONNECT_SECONDS = 0.25


class Reach:
    """From where players come: which local addresses of a server's sockets they can get to."""

    def __init__(self, address: str) -> None:
        """`address` is the one handed out; it may be another machine's, as of a router that forwards to this one."""
        self._address = address
        self._is_here = _is_here(address)

    def trouble(self, port: PortMapping, found: Sequence[Endpoint]) -> str | None:
        """Why players cannot get to any of these sockets, `None` when they can."""
        if any(self._reaches(endpoint.address) for endpoint in found):
            return None
        bound = ", ".join(endpoint.address for endpoint in found)
        return f"port {port.key} is bound on {bound} only, where players at {self._address} cannot reach it"

    def _reaches(self, local: str) -> bool:
        if local in ("0.0.0.0", "::", self._address):  # noqa: S104 - recognised, not bound
            return True
        return not self._is_here and not ipaddress.ip_address(local).is_loopback

    def target(self, found: Sequence[Endpoint]) -> str:
        """An address of this machine on which a connection reaches one of these sockets."""
        if self._is_here:
            return self._address
        local = next(endpoint.address for endpoint in found if self._reaches(endpoint.address))
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(local, local)  # noqa: S104 - recognised, not bound


async def port_trouble(port: PortMapping, family: Sequence[int], reach: Reach) -> str | None:
    """Why `port` does not answer yet; `None` when it does.

    UDP answers when one of the processes in `family` has bound it, TCP when moreover a connection to it succeeds. A
    port that some other process holds does not count, however well it answers. Takes at most `CONNECT_SECONDS`.
    """
    inodes: set[int] | None = None
    for wanted, name, endpoints in (
        (port.protocol.uses_udp, "UDP", processes.udp_endpoints),
        (port.protocol.uses_tcp, "TCP", processes.tcp_listeners),
    ):
        if not wanted:
            continue
        found = endpoints(port.internal)
        if not found:
            return f"port {port.key}: nothing is bound to {name} {port.internal} yet"
        if inodes is None:
            inodes = processes.socket_inodes(family)
        own = [endpoint for endpoint in found if endpoint.inode in inodes]
        if not own:
            return f"port {port.key}: {name} {port.internal} is held by a process that is not this server's"
        if trouble := reach.trouble(port, own):
            return trouble
        if name == "TCP" and not await _accepts(reach.target(own), port.internal):
            return f"port {port.key}: TCP {port.internal} does not accept connections"
    return None


async def _accepts(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as endpoint:
        endpoint.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(endpoint, (address, port))
                return True
    return False


def _is_here(address: str) -> bool:
    """Whether this machine has the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as endpoint:
        try:
            ipaddress.ip_address(address)  # A name would be looked up, which takes its time.
            endpoint.bind((address, 0))
        except (OSError, ValueError):
            return False
    return True
