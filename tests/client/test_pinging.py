"""Round-trip times to a beacon, over real sockets."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.polling import GENEROUS_SECONDS
from waymeet.client import PingTransport, RoundTrips, ping, ping_async

SHORT_SECONDS = 0.05
"""For answers that never come."""

Ping = Callable[..., RoundTrips]


@pytest.fixture(params=["blocking", "awaited"])
def measure(request: pytest.FixtureRequest) -> Ping:
    if request.param == "blocking":
        return ping

    def awaited(*args: Any, **kwargs: Any) -> RoundTrips:
        return asyncio.run(ping_async(*args, **kwargs))

    return awaited


@contextmanager
def answering(respond: Callable[[int, bytes], list[bytes]]) -> Iterator[tuple[str, int]]:
    """A UDP server that answers its n-th question with what `respond` says."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        number = 0
        while True:
            question, source = server.recvfrom(2048)
            if question == b"the end":
                return
            for content in respond(number, question):
                server.sendto(content, source)
            number += 1

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closing:
            closing.sendto(b"the end", server.getsockname())
        thread.join()
        server.close()


def test_every_question_has_its_answer(measure: Ping) -> None:
    questions: list[bytes] = []

    def respond(number: int, question: bytes) -> list[bytes]:
        questions.append(question)
        return [question]

    with answering(respond) as (host, port):
        trips = measure(host, port, count=4, timeout=GENEROUS_SECONDS)
    assert (trips.asked, trips.lost, len(trips.samples_ms)) == (4, 0, 4)
    assert all(0 < sample < GENEROUS_SECONDS * 1000 for sample in trips.samples_ms)
    assert len(set(questions)) == 4
    # What every beacon echoes.
    assert all(1 <= len(question) <= 64 for question in questions)


def test_another_answer_does_not_count(measure: Ping) -> None:
    with answering(lambda number, question: [b"Ping", question[:-1], question]) as (host, port):
        assert measure(host, port, count=1, timeout=GENEROUS_SECONDS).lost == 0
    with answering(lambda number, question: [b"Ping", question + b"!"]) as (host, port):
        assert measure(host, port, count=1, timeout=SHORT_SECONDS) == RoundTrips(1)


def test_a_late_answer_is_not_the_next_ones(measure: Ping) -> None:
    asked: list[bytes] = []

    def respond(number: int, question: bytes) -> list[bytes]:
        asked.append(question)
        return asked[:-1]

    with answering(respond) as (host, port):
        assert measure(host, port, count=3, timeout=SHORT_SECONDS) == RoundTrips(3)


def test_lost_ones_are_counted(measure: Ping) -> None:
    with answering(lambda number, question: [question] if number == 1 else []) as (host, port):
        trips = measure(host, port, count=2, timeout=SHORT_SECONDS)
    assert trips.asked == 2
    assert trips.lost >= 1


def test_where_nobody_listens(measure: Ping) -> None:
    with answering(lambda number, question: []) as (host, port):
        pass
    assert measure(host, port, count=2, timeout=SHORT_SECONDS) == RoundTrips(2)


def test_a_name_that_does_not_resolve(measure: Ping) -> None:
    for transport in PingTransport:
        assert measure("", 0, count=1, timeout=SHORT_SECONDS, transport=transport) == RoundTrips(1)


def test_tcp_measures_the_connection(measure: Ping) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        trips = measure(host, port, count=3, timeout=GENEROUS_SECONDS, transport=PingTransport.TCP)
    assert (trips.asked, trips.lost) == (3, 0)
    assert measure(host, port, count=1, timeout=GENEROUS_SECONDS, transport=PingTransport.TCP) == RoundTrips(1)


def test_nothing_to_ask(measure: Ping) -> None:
    with pytest.raises(ValueError, match="at least once"):
        measure("127.0.0.1", 1, count=0)


def test_each_outcome_is_told_as_it_comes() -> None:
    told: list[float | None] = []
    with answering(lambda number, question: [question] if number != 1 else []) as (host, port):
        first = asyncio.run(ping_async(host, port, count=1, timeout=GENEROUS_SECONDS, on_sample=told.append))
        asyncio.run(ping_async(host, port, count=1, timeout=SHORT_SECONDS, on_sample=told.append))
    assert told == [first.samples_ms[0], None]


def test_what_samples_come_to() -> None:
    trips = RoundTrips(4, (10.0, 14.0, 12.0))
    assert (trips.lost, trips.mean_ms, trips.best_ms, trips.jitter_ms) == (1, 12.0, 10.0, 3.0)
    nothing = RoundTrips(2)
    assert (nothing.lost, nothing.mean_ms, nothing.best_ms, nothing.jitter_ms) == (2, None, None, None)
    assert RoundTrips(1, (5.0,)).jitter_ms is None
