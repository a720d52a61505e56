import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from waymeet.cli.echo_probe import NoEcho, echo
from waymeet.clock import SystemClock


@contextmanager
def answering(answers: list[bytes | None]) -> Iterator[int]:
    """A UDP server that gives these answers in turn, `None` for the datagram itself, and then falls silent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)

        def serve() -> None:
            for answer in answers:
                datagram, sender = server.recvfrom(2048)
                server.sendto(datagram if answer is None else answer, sender)

        thread = Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_the_round_trip_is_measured() -> None:
    with answering([None]) as port:
        assert echo("127.0.0.1", port, "hello", SystemClock()) > 0


def test_an_answer_to_something_else_does_not_count() -> None:
    with answering([b"hello #9", None]) as port:
        assert echo("127.0.0.1", port, "hello", SystemClock(), timeout=0.2) > 0


def test_silence_is_named_after_the_last_try() -> None:
    with answering([]) as port, pytest.raises(NoEcho, match=f"127.0.0.1:{port} sent no datagram back in 2 tries"):
        echo("127.0.0.1", port, "hello", SystemClock(), tries=2, timeout=0.02)
