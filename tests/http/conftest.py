"""A server on a real socket with a small route table of its own."""

import asyncio
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from tests.http.table import ENDPOINTS, KEY, KnownKeys, echo_socket
from tests.polling import GENEROUS_SECONDS, eventually
from waymeet.clock import SystemClock
from waymeet.http.application import create_app
from waymeet.http.endpoint import Endpoint
from waymeet.http.health import Check
from waymeet.http.limits import HttpLimits
from waymeet.http.server import ServerSettings, bind, server_for


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers on loopback."""

    port: int
    server: uvicorn.Server
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str | None = KEY) -> httpx.Client:
        headers = {} if key is None else {"authorization": f"token {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=GENEROUS_SECONDS, trust_env=False)

    def raw(self, sent: bytes, *, half_close: bool = True) -> bytes:
        """Sends bytes as they are, then by default nothing more; everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=GENEROUS_SECONDS) as connection:
            # The server may refuse, and even close, before it has read everything.
            with suppress(OSError):
                connection.sendall(sent)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            return _all_of(connection)


def _all_of(connection: socket.socket) -> bytes:
    received = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return received
        if not part:
            return received
        received += part


@contextmanager
def running(
    *,
    limits: HttpLimits | None = None,
    settings: ServerSettings | None = None,
    checks: Mapping[str, Check] | None = None,
    notices: Mapping[str, Check] | None = None,
    mounts: Mapping[str, ASGIApp] | None = None,
    endpoints: list[Endpoint[Any, Any]] | None = None,
    lifespan: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
    access_log: bool = False,
    before_metrics: Callable[[], Awaitable[None]] | None = None,
) -> Iterator[Running]:
    """Serves the test table until the block ends."""
    app = create_app(
        ENDPOINTS if endpoints is None else endpoints,
        authenticator=KnownKeys(),
        clock=SystemClock(),
        rng=random.Random(7),
        limits=limits or HttpLimits(rates={}, failures_per_second=0),
        checks=checks,
        notices=notices,
        web_sockets={"/echo/socket": echo_socket},
        mounts=mounts,
        lifespan=lifespan,
        registry=CollectorRegistry(),
        before_metrics=before_metrics,
        access_log=access_log,
        version="9.9",
    )
    listener = bind("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    server = server_for(app, settings or ServerSettings(graceful_seconds=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive())
    try:
        yield Running(port, server, thread)
    finally:
        server.should_exit = True
        thread.join(timeout=GENEROUS_SECONDS)
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Running) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client
