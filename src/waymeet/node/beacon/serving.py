"""A beacon at work: a thread of its own, so that neither a flood nor a busy node gets into the other's way."""

import logging
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial

from waymeet.model.node_messages import BeaconPorts
from waymeet.node.beacon.limits import EchoLimits
from waymeet.node.beacon.tcp import TcpEcho
from waymeet.node.beacon.udp import UdpEcho

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
BREATH_SECONDS = 0.002
"""After a whole batch: nobody who measures sends so much. The kernel meanwhile drops what is too much, which costs next
to nothing, and the node's other work gets the processor."""
IDLE_CHECK_SECONDS = 0.25


class Beacon:
    """One node's beacon, from `start` to `close`. It answers for as long as the thread lives, whatever becomes of the
    control plane. A failure is logged, and the work begins again on the same sockets.
    """

    def __init__(
        self,
        name: str,
        udp: Sequence[socket.socket],
        tcp: Sequence[socket.socket],
        monotonic: Callable[[], float],
        limits: EchoLimits | None = None,
    ) -> None:
        self.ports = BeaconPorts(udp[0].getsockname()[1], tcp[0].getsockname()[1])
        self._name = name
        self._udp = udp
        self._tcp = tcp
        self._monotonic = monotonic
        self._limits = EchoLimits(self.ports.udp_port) if limits is None else limits
        self._closing = threading.Event()
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"beacon of {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop answering and give the ports back. Safe to repeat."""
        self._closing.set()
        self._waker.close()
        if self._thread.is_alive():
            self._thread.join()
        for endpoint in (*self._udp, *self._tcp, self._woken):
            endpoint.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._serve()
            except Exception:
                log.exception("node %s: its beacon failed and begins again in %g s", self._name, RESTART_SECONDS)
                self._closing.wait(RESTART_SECONDS)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            visitors = TcpEcho(selector, self._monotonic)
            selector.register(self._woken, selectors.EVENT_READ, bool)
            for endpoint in self._udp:
                echo = UdpEcho(endpoint, self._limits, self._monotonic)
                selector.register(endpoint, selectors.EVENT_READ, echo.answer_waiting)
            for listener in self._tcp:
                selector.register(listener, selectors.EVENT_READ, partial(visitors.accept_waiting, listener))
            try:
                while not self._closing.is_set():
                    ready = selector.select(IDLE_CHECK_SECONDS if len(visitors) else None)
                    busy = [key.data() for key, _ in ready]
                    visitors.close_idle()
                    if any(busy):
                        self._closing.wait(BREATH_SECONDS)
            finally:
                visitors.close_all()
