"""Carries packets between namespaces, each after its link's delay. A program of its own: `python -m tests.network.router`.

For kernels that lack the netem queueing discipline. Reads the links as JSON from standard input's first line, makes a TUN
interface at each end, says `ready`, and goes on until standard input ends.
"""

import fcntl
import heapq
import itertools
import json
import os
import selectors
import struct
import sys
import time
from contextlib import suppress

from tests.network.namespaces import enter

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LONGEST_PACKET = 65_536
_MOST_WAITING = 100_000


def open_tun(namespace: str, interface: str) -> int:
    """A new TUN interface there, as a descriptor that packets are read from and written to."""
    enter(namespace)
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", interface.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def main() -> None:
    # A router that waits for its turn would add to the delays that it is there to make.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    selector = selectors.DefaultSelector()
    for one, other, interface, delay in json.loads(sys.stdin.readline()):
        ends = [open_tun(one, interface), open_tun(other, interface)]
        for source, target in (ends, reversed(ends)):
            selector.register(source, selectors.EVENT_READ, (target, delay))
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
    print("ready", flush=True)
    order = itertools.count()
    waiting: list[tuple[float, int, int, bytes]] = []
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, target, packet = heapq.heappop(waiting)
            # An interface that is down, or full, loses packets, as networks do.
            with suppress(OSError):
                os.write(target, packet)
        for key, _ in selector.select(waiting[0][0] - now if waiting else None):
            if key.data is None:
                return  # Whoever started it is gone, or says that it is over.
            target, delay = key.data
            with suppress(BlockingIOError):
                packet = os.read(key.fd, _LONGEST_PACKET)
                if len(waiting) < _MOST_WAITING:
                    heapq.heappush(waiting, (time.monotonic() + delay, next(order), target, packet))


if __name__ == "__main__":
    main()
