"""A web server on loopback that hands out files, in parts when asked, and fails as it is told."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """How one path is answered."""

    content: bytes = b""
    break_after: list[int] = field(default_factory=list)
    """How many bytes of the body each of the next answers is cut to; the announced length stays."""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers, in place of the file."""
    ranges: bool = True
    """Whether parts are handed out."""
    announced: bool = True
    """Whether the length is said."""
    wrong_range: bool = False
    """Hand out another part than was asked for."""
    redirect: str = ""


@dataclass
class Asked:
    path: str
    range: str | None


class FileServer:
    """What it has, and what it was asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, Behaviour] = {}
        self.asked: list[Asked] = []


@contextmanager
def serving_files() -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = self.headers.get("range")
            server.asked.append(Asked(self.path, asked))
            found = server.files.get(self.path)
            if found is None or found.failures:
                self._end(found.failures.pop(0) if found else 404)
                return
            if found.redirect:
                self.send_response(302)
                self.send_header("location", found.redirect)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            start, status = 0, 200
            if asked is not None and found.ranges:
                match = re.fullmatch(r"bytes=(\d+)-", asked)
                assert match is not None, asked
                start, status = int(match[1]), 206
                if start >= len(found.content):
                    self.send_response(416)
                    self.send_header("content-range", f"bytes */{len(found.content)}")
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
            body = found.content[start:]
            self.send_response(status)
            if status == 206:
                said = start + 1 if found.wrong_range else start
                self.send_header("content-range", f"bytes {said}-{len(found.content) - 1}/{len(found.content)}")
            if found.announced:
                self.send_header("content-length", str(len(body)))
            self.send_header("connection", "close")
            self.close_connection = True
            self.end_headers()
            sent = body[: found.break_after.pop(0)] if found.break_after else body
            try:
                self.wfile.write(sent)
            except OSError:
                # The client has left.
                return

        def _end(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *message: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    server = FileServer(f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
