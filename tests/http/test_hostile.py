"""Requests that no honest client sends: each is refused in JSON or dropped, and the server goes on."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.http.conftest import Running, running
from tests.http.table import KEY
from tests.polling import GENEROUS_SECONDS, eventually
from waymeet.http.server import ServerSettings

HEAD = f"host: x\r\nauthorization: token {KEY}\r\n".encode()
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(answer)]


def whole_answer(connection: socket.socket) -> bytes:
    """One answer whose body is an object, on a connection that stays open."""
    answer = b""
    while not answer.endswith(b"}"):
        part = connection.recv(1000)
        assert part, f"closed after {answer!r}"
        answer += part
    return answer


def assert_all_json(answer: bytes) -> None:
    """Every body in the answer is what its head says: JSON, of that length."""
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(headers.get(b"content-length", b"0"))
        if length:
            assert headers[b"content-type"] == b"application/json"
            assert isinstance(json.loads(rest[:length]), dict)
        answer = rest[length:]


@pytest.fixture(autouse=True)
def survives(served: Running) -> Iterator[None]:
    yield
    with served.client() as client:
        assert client.get("/healthz").status_code == 200


def get(target: bytes, more: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HEAD + more + b"\r\n"


def post(more: bytes, body: bytes = b"") -> bytes:
    return b"POST /v1/everything HTTP/1.1\r\n" + HEAD + more + b"\r\n" + body


REQUESTS = {
    "not HTTP": (b"nonsense\r\n\r\n", 400),
    "a TLS greeting": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    "no target": (b"GET\r\n\r\n", 400),
    "a version of the future": (b"GET /v1/session/x HTTP/9.9\r\n" + HEAD + b"\r\n", 400),
    "a raw byte in the path": (get(b"/v1/session/\xff"), 400),
    "no slash": (get(b"v1/session/x"), 400),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n", 404),
    "a tunnel": (b"CONNECT example.org:443 HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "a header without a colon": (get(b"/v1/session/x", b"bad header\r\n"), 400),
    "NUL in a header": (get(b"/v1/session/x", b"x: \x00\r\n"), 400),
    "a negative length": (post(b"content-length: -1\r\n"), 400),
    "a length that is no number": (post(b"content-length: 1x\r\n"), 400),
    "two lengths": (post(b"content-length: 2\r\ncontent-length: 3\r\n", b"{}"), 400),
    "a length beyond all integers": (post(b"content-length: 99999999999999999999\r\n"), 400),
    "a huge length": (post(b"content-length: 999999999999\r\n"), 413),
    "a length and chunks": (post(b"content-length: 2\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "slashes in the middle": (get(b"//v1//session/x"), 404),
    "dots": (get(b"/../v1/session/x"), 404),
    "a percent sign that encodes nothing": (get(b"/v1/session/%zz"), 200),
    "a bad query nobody reads": (get(b"/v1/session/x?a=%ff%00"), 200),
    "a bad query": (get(b"/v1/search?name=%ff"), 400),
    "a fragment": (get(b"/v1/session/x#fragment"), 200),
    "an odd method": (b"TRACE /v1/session/x HTTP/1.1\r\n" + HEAD + b"\r\n", 405),
    "an upgrade to HTTP/2": (get(b"/v1/session/x", b"connection: upgrade\r\nupgrade: h2c\r\n"), 200),
    "a long target": (get(b"/" + b"a" * 40_000), 431),
    "a long header": (get(b"/v1/session/x", b"x: " + b"a" * 300_000 + b"\r\n"), 431),
    "many headers": (get(b"/v1/session/x", b"x: y\r\n" * 20_000), 431),
    "a header just long enough": (get(b"/v1/session/x", b"x: " + b"a" * 20_000 + b"\r\n"), 200),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_one_request(served: Running, name: str) -> None:
    sent, expected = REQUESTS[name]
    answer = served.raw(sent)
    assert statuses(answer)[:1] == [expected], answer[:300]
    assert_all_json(answer)


@pytest.mark.parametrize(
    "chunks",
    [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\n", b"5\r\n{}\r\n\r\n0\r\n\r\n"],
    ids=["no number", "negative", "huge", "short"],
)
def test_bad_chunks_get_no_success(served: Running, chunks: bytes) -> None:
    answer = served.raw(b"POST /v1/everything HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunks)
    assert statuses(answer)[:1] in ([], [400])


def test_endless_chunks_are_cut_off(served: Running) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    most = 64 * 1024 * 1024
    sent = 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=GENEROUS_SECONDS) as connection:
        connection.sendall(post(b"transfer-encoding: chunked\r\n"))
        # Until the server has closed and says so.
        with suppress(ConnectionError):
            while sent < most:
                connection.sendall(chunk)
                sent += len(chunk)
    assert sent < most


def test_pipelined_requests_are_answered_in_order(served: Running) -> None:
    requests = b"".join(b"GET /v1/session/%d HTTP/1.1\r\n" % index + HEAD + b"\r\n" for index in range(20))
    answer = served.raw(requests + get(b"/v1/session/20", b"connection: close\r\n"), half_close=False)
    assert statuses(answer) == [200] * 21
    assert [int(number) for number in re.findall(rb'"session_id":"(\d+)"', answer)] == list(range(21))


def test_a_closed_connection_in_the_middle_of_a_body_hurts_nobody(served: Running) -> None:
    answer = served.raw(b"POST /v1/everything HTTP/1.1\r\n" + HEAD + b"content-length: 100\r\n\r\n{")
    assert statuses(answer) == []
    with served.client() as client:
        eventually(lambda: "waymeet_http_requests_in_flight 1.0" in client.get("/metrics").text)


def test_expect_continue(served: Running) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=GENEROUS_SECONDS) as connection:
        connection.sendall(
            b"POST /v1/tree HTTP/1.1\r\n" + HEAD + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n",
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert statuses(whole_answer(connection)) == [200]
        connection.sendall(
            b"POST /v1/tree HTTP/1.1\r\n" + HEAD + b"content-length: 999999\r\nexpect: 100-continue\r\n\r\n",
        )
        # The client will not send that body now, so this connection cannot carry another request.
        answer = b""
        while part := connection.recv(1000):
            answer += part
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer


class TestPatience:
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"", None),
            (b"GET /v1/session/x HT", 408),
            (b"GET /v1/session/x HTTP/1.1\r\n" + HEAD, 408),
            (b"POST /v1/tree HTTP/1.1\r\n" + HEAD + b"content-length: 100\r\n\r\n{", 408),
            (b"POST /v1/tree HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{", 408),
            (b"POST /v1/lobbies:deploy HTTP/1.1\r\n" + HEAD + b"content-length: 100\r\n\r\n{", 202),
        ],
        ids=["silence", "half a line", "half a head", "half a body", "half a chunk", "half of an unread body"],
    )
    def test_a_request_that_never_ends_is_let_go(self, sent: bytes, status: int | None) -> None:
        with running(settings=ServerSettings(patience_seconds=0.1)) as server:
            if status is None:
                answer = server.raw(sent, half_close=False)
            else:
                # Silence from the server says that we were slower than its patience before our first word.
                answer = eventually(lambda: server.raw(sent, half_close=False))
        assert statuses(answer)[:1] == ([] if status is None else [status])
        assert_all_json(answer)

    def test_an_idle_connection_between_requests_is_kept(self) -> None:
        with running(settings=ServerSettings(patience_seconds=0.1)) as server, used_connection(server) as connection:
            # Two other connections are let go for their silence; by then this one has waited as long.
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", server.port), timeout=GENEROUS_SECONDS) as silent:
                    assert silent.recv(10) == b""
            connection.sendall(get(b"/v1/session/x"))
            assert statuses(whole_answer(connection)) == [200]


def used_connection(server: Running) -> socket.socket:
    """A connection on which two requests were answered. One that was let go before its first word is made anew."""

    def made() -> socket.socket | None:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=GENEROUS_SECONDS)
        for _ in range(2):
            with suppress(OSError):
                connection.sendall(get(b"/v1/session/x"))
            if not (answer := connection.recv(1)):
                connection.close()
                return None
            assert statuses(answer + whole_answer(connection)) == [200]
        return connection

    connection = eventually(made)
    assert connection is not None
    return connection
