"""A receiver of signed webhooks on this machine, as small as one can be."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Full, Queue
from threading import Thread

from waymeet.client import VerifiedWebhook, Webhook, WebhookRejected
from waymeet.model.instant import MICROSECONDS, Clock

LARGEST_BODY_BYTES = 1024 * 1024
_KEPT = 100


class WebhookReceiver:
    """What has arrived and was signed with the right secret. Anything else was answered 401 and forgotten."""

    def __init__(self, url: str, arrived: "Queue[VerifiedWebhook]") -> None:
        self.url = url
        self._arrived = arrived

    def next(self, timeout: float) -> VerifiedWebhook | None:
        """The oldest webhook that was not taken yet; `None` when none arrives within `timeout` seconds."""
        try:
            return self._arrived.get(timeout=timeout)
        except Empty:
            return None


@contextmanager
def receiving_webhooks(secret: str, clock: Clock) -> Iterator[WebhookReceiver]:
    """A receiver on a free loopback port, gone after the block."""
    webhook = Webhook(secret)
    arrived: Queue[VerifiedWebhook] = Queue(_KEPT)

    class Receive(BaseHTTPRequestHandler):
        timeout = 5.0

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdecimal() and int(length) <= LARGEST_BODY_BYTES):
                self._answer(413)
                return
            try:
                verified = webhook.verify(
                    dict(self.headers.items()), self.rfile.read(int(length)), clock.now() / MICROSECONDS
                )
                arrived.put_nowait(verified)
            except WebhookRejected:
                self._answer(401)
            except Full:
                self._answer(503)
            else:
                self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the story is told elsewhere."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    listener.daemon_threads = True
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield WebhookReceiver(f"http://127.0.0.1:{listener.server_address[1]}/webhook", arrived)
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
