"""An HTTP server on a loopback socket that answers from a script and remembers what it was asked."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Scripted:
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[bytes] | None = None
    """In place of a body: sent one after the other as an answer that goes on, until the connection is closed."""


@dataclass
class FakeServer:
    """`answers` are given in their order, the last one again and again; or `decide` chooses each."""

    url: str = ""
    answers: deque[Scripted] = field(default_factory=deque)
    decide: Callable[[Asked], Scripted] | None = None
    asked: list[Asked] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def script(self, *answers: Scripted) -> None:
        self.answers = deque(answers)

    def answer(self, asked: Asked) -> Scripted:
        with self.lock:
            self.asked.append(asked)
            if self.decide is not None:
                return self.decide(asked)
            return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    @property
    def last(self) -> Asked:
        return self.asked[-1]


@contextmanager
def running_server() -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one write: in two, the second waits for a delayed acknowledgement of the first.
        wbufsize = -1

        def respond(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scripted = fake.answer(
                Asked(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(content) if content else None,
                )
            )
            if scripted.parts is not None:
                self.send_parts(scripted, scripted.parts)
                return
            body = scripted.body if isinstance(scripted.body, bytes) else json.dumps(scripted.body).encode()
            if scripted.status == 204:
                body = b""
            self.send_response_only(scripted.status)
            for name, value in {"Content-Type": "application/json", **scripted.headers}.items():
                self.send_header(name, value)
            if scripted.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def send_parts(self, scripted: Scripted, parts: Sequence[bytes]) -> None:
            self.send_response_only(scripted.status)
            for name, value in {"Content-Type": "text/event-stream", **scripted.headers}.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            for part in parts:
                self.wfile.write(part)
                self.wfile.flush()
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815 - names that http.server looks up

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    fake.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
