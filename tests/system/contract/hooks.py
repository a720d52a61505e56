"""A backend that receives webhooks and keeps them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.polling import eventually


class Hooks:
    """Webhooks received so far, by path."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._received: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/{path}"

    def keep(self, path: str, headers: dict[str, str], body: bytes) -> None:
        with self._lock:
            self._received.append((path, headers, body))

    def at(self, path: str) -> list[tuple[dict[str, str], Any]]:
        """Headers and body of each webhook that came to this path, in order."""
        with self._lock:
            return [(headers, json.loads(body)) for own, headers, body in self._received if own == f"/{path}"]

    def bodies(self, path: str) -> list[bytes]:
        """As `at`, but the bodies byte for byte."""
        with self._lock:
            return [body for own, _, body in self._received if own == f"/{path}"]

    def wait_for(self, path: str, count: int = 1) -> list[tuple[dict[str, str], Any]]:
        """As `at`, once there are so many."""
        return eventually(lambda: found if len(found := self.at(path)) >= count else [])


@contextmanager
def receiving_hooks() -> Iterator[Hooks]:
    """Hooks on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hooks.keep(self.path, headers, body)
            self.send_response(hooks.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hooks = Hooks(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hooks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
