"""Finding out whether something on the way accepts connections in the place of whoever they are meant for.

Transparent proxies and some firewalls do. What is timed then is the way to them, the same few milliseconds for every player
in the world. They give themselves away by answering for addresses that nobody can have.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from waymeet.model.instant import Clock
from waymeet.model.networks import Address
from waymeet.node.probing.icmp import family_of

NOBODY: Mapping[socket.AddressFamily, Address] = {
    socket.AF_INET: IPv4Address("198.51.100.1"),
    socket.AF_INET6: IPv6Address("2001:db8::1"),
}
"""Reserved for documentation (RFC 5737, RFC 3849): no route on the internet leads to them."""
CHECK_SECONDS = 3.0
"""How long an answer is waited for: far longer than one takes from somebody near, but no probe waits for it."""
AGAIN_SECONDS = 600.0

Connect = Callable[[Address, int, Clock], Awaitable[float | None]]
"""As `tcp.connect_ms`."""

_log = logging.getLogger(__name__)


class Impostors:
    """Knows of which address families the connections to the internet are answered by somebody else."""

    def __init__(self, connect: Connect, ports: Sequence[int], clock: Clock) -> None:
        self._connect = connect
        self._ports = ports
        self._clock = clock
        self._answering: set[socket.AddressFamily] = set()
        self._checked_at: dict[socket.AddressFamily, float] = {}
        self._checks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Check all families that were not checked lately; returns at once. What was found before holds meanwhile."""
        now = self._clock.monotonic()
        for family, nobody in NOBODY.items():
            checked_at = self._checked_at.get(family)
            if self._ports and (checked_at is None or now - checked_at >= AGAIN_SECONDS):
                self._checked_at[family] = now
                check = asyncio.create_task(self._check(family, nobody))
                self._checks.add(check)
                check.add_done_callback(self._checks.discard)

    def answer_for(self, address: Address) -> bool:
        """Whether a connection to this address on the internet says nothing of the way to it."""
        return family_of(address) in self._answering

    def close(self) -> None:
        """Check no more. Repeatable."""
        for check in self._checks:
            check.cancel()

    async def _check(self, family: socket.AddressFamily, nobody: Address) -> None:
        connecting = [asyncio.ensure_future(self._connect(nobody, port, self._clock)) for port in self._ports]
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                for next_one in asyncio.as_completed(connecting):
                    if await next_one is not None:
                        self._found(family, nobody)
                        return
        except TimeoutError:
            pass  # Silence, as it should be.
        finally:
            for one in connecting:
                one.cancel()
            await asyncio.gather(*connecting, return_exceptions=True)
        self._answering.discard(family)

    def _found(self, family: socket.AddressFamily, nobody: Address) -> None:
        if family not in self._answering:
            _log.warning(
                "something near this node answers TCP connections to %s, an address that nobody has: players who answer no"
                " echo request are not timed by TCP. Let the node's connections out directly, or set `probe.tcp_ports = []`",
                nobody,
            )
        self._answering.add(family)
