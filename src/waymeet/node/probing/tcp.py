"""The time that a TCP connection takes to be accepted or refused: both answers travel once there and back."""

import asyncio
import socket
import struct

from waymeet.model.instant import Clock
from waymeet.model.networks import Address
from waymeet.node.probing.icmp import family_of

_RESET_ON_CLOSE = struct.pack("@ii", 1, 0)


async def connect_ms(address: Address, port: int, clock: Clock) -> float | None:
    """Milliseconds until the other side accepted or refused a connection; `None` when it cannot be reached.

    Waits as long as the kernel does: put a time limit around it. Nothing is sent on the connection, which is reset at once,
    so that neither side has to remember it.
    """
    try:
        opened = socket.socket(family_of(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError:
        return None  # This machine does without IPv6, or has no more files to open.
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        began = clock.monotonic()
        try:
            await asyncio.get_running_loop().sock_connect(opened, (str(address), port))
        except ConnectionRefusedError:
            pass
        except OSError:
            return None
        return (clock.monotonic() - began) * 1000
