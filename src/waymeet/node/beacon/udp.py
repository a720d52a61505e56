"""UDP echo on one socket."""

import socket
from collections.abc import Callable

from waymeet.node.beacon.limits import LONGEST_ECHO, EchoLimits, Verdict
from waymeet.node.sockets import ANCILLARY_BYTES, answering_from, is_wildcard

BATCH = 64
"""Datagrams that are read before anything else gets its turn."""


class UdpEcho:
    """Sends datagrams back from where they came to, as far as the limits allow."""

    def __init__(self, endpoint: socket.socket, limits: EchoLimits, monotonic: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._monotonic = monotonic
        # One byte more than what is echoed tells a longer datagram from one that just fits.
        self._buffer = bytearray(LONGEST_ECHO + 1)
        self._view = memoryview(self._buffer)
        self._answer = self._answer_from_asked_address if is_wildcard(endpoint) else self._answer_from_own_address

    def answer_waiting(self) -> bool:
        """Answer what has arrived; whether a whole batch was there, so that there may be more."""
        try:
            for _ in range(BATCH):
                self._answer()
        except BlockingIOError:
            return False
        return True

    def _answer_from_own_address(self) -> None:
        try:
            length, source = self._endpoint.recvfrom_into(self._buffer)
        except ConnectionError:
            return  # News of an answer that could not be delivered.
        if self._limits.judge(length, source[0], source[1], self._monotonic()) is not Verdict.ECHO:
            return
        try:
            self._endpoint.sendto(self._view[:length], source)
        except OSError:
            pass  # No way back to there, or the kernel has no room now: a lost datagram like any other.

    def _answer_from_asked_address(self) -> None:
        try:
            length, ancillary, _, source = self._endpoint.recvmsg_into([self._buffer], ANCILLARY_BYTES)
        except ConnectionError:
            return
        if self._limits.judge(length, source[0], source[1], self._monotonic()) is not Verdict.ECHO:
            return
        try:
            self._endpoint.sendmsg([self._view[:length]], answering_from(ancillary), 0, source)
        except OSError:
            pass
