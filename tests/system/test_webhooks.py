"""Webhooks across kills of the control plane: at least once, in order per object, rightly signed (promise 5)."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.polling import eventually
from tests.system.games import register, seat
from tests.system.installation import Installation
from tests.system.processes import Role
from waymeet.client import Session, SessionStatus, Webhook

ROUNDS = 4
SESSIONS_PER_ROUND = 3
LONGEST_MOMENT_SECONDS = 0.4
ANSWER_SECONDS = 0.1
"""How long the receiver takes: long enough for a kill to fall in between."""
REPEATED_SECONDS = 300.0
"""An attempt that was cut off is made again when its lease has run out, one after the other where several were."""


class Receiver:
    """A backend that takes its time, and remembers what each session's webhooks said, in order of arrival."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.heard: dict[str, list[str]] = defaultdict(list)
        self.refused: list[Exception] = []


@contextmanager
def receiving(secret: str) -> Iterator[Receiver]:
    webhook = Webhook(secret)

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                session = webhook.verify(dict(self.headers.items()), body, time.time()).read(Session)
            except Exception as error:
                receiver.refused.append(error)
                raise
            receiver.heard[session.session_id].append(session.status)
            time.sleep(ANSWER_SECONDS)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            # The caller may be killed before it has its answer.
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    receiver = Receiver(f"http://127.0.0.1:{listener.server_address[1]}/sessions")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def test_every_session_is_told_of(tmp_path: Path, database_url: str) -> None:
    rng = random.Random(5)
    # Two for each session, so that there is an order to keep.
    settings = "[sessions]\nnotify_waiting = true"
    with Installation(tmp_path, settings=settings, database_url=database_url) as installation:
        program = installation.up()
        client = installation.client
        register(client, sockets=1)
        with receiving(client.webhooks.secret()) as receiver:
            sessions: list[str] = []
            for _ in range(ROUNDS):
                sessions += [seat(client, webhook_url=receiver.url) for _ in range(SESSIONS_PER_ROUND)]
                # Not to wait for something: the moment is what the test is about.
                time.sleep(rng.uniform(0, LONGEST_MOMENT_SECONDS))
                killed = installation.only(Role.CONTROL_PLANE)
                killed.kill()
                installation.only(Role.CONTROL_PLANE, other_than=killed)
                installation.wait_until_ready(program)

            def complete() -> bool:
                return all(SessionStatus.READY in receiver.heard[session_id] for session_id in sessions)

            eventually(complete, seconds=REPEATED_SECONDS)
            assert not receiver.refused
            for session_id in sessions:
                # Some may have come twice, but never one after its successor.
                heard = receiver.heard[session_id]
                first_ready = heard.index(SessionStatus.READY)
                assert set(heard[:first_ready]) == {SessionStatus.WAITING}
                assert set(heard[first_ready:]) == {SessionStatus.READY}
            eventually(
                lambda: {delivery.status for delivery in client.webhooks.each()} == {"delivered"},
                seconds=REPEATED_SECONDS,
            )
