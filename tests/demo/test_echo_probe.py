import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from tests.polling import GENEROUS_SECONDS
from waymeet.cli.echo_probe import NoEcho, echo
from waymeet.clock import SystemClock


@contextmanager
def answering(*answers: bytes | None) -> Iterator[int]:
    """A UDP server that gives all these answers to the first datagram, `None` for itself, and then falls silent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(GENEROUS_SECONDS)

        def serve() -> None:
            if not answers:
                return
            datagram, sender = server.recvfrom(2048)
            for answer in answers:
                server.sendto(datagram if answer is None else answer, sender)

        thread = Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_the_round_trip_is_measured() -> None:
    with answering(None) as port:
        assert echo("127.0.0.1", port, "hello", SystemClock(), timeout=GENEROUS_SECONDS) > 0


def test_an_answer_to_something_else_does_not_count() -> None:
    with answering(b"hello #9") as port, pytest.raises(NoEcho):
        echo("127.0.0.1", port, "hello", SystemClock(), tries=1, timeout=0.2)
    with answering(b"hello #9", None) as port:
        assert echo("127.0.0.1", port, "hello", SystemClock(), timeout=GENEROUS_SECONDS) > 0


def test_silence_is_named_after_the_last_try() -> None:
    with answering() as port, pytest.raises(NoEcho, match=f"127.0.0.1:{port} sent no datagram back in 2 tries"):
        echo("127.0.0.1", port, "hello", SystemClock(), tries=2, timeout=0.02)
