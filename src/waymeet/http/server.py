"""Running an application on uvicorn."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from waymeet.http.connection import Connection


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How connections are kept; what a single request may do is in `HttpLimits`."""

    keep_alive_seconds: int = 75
    """How long an idle connection stays open. Longer than the pauses of the polling clients (contract 1.9)."""
    patience_seconds: float = 15.0
    """How long a request may take to arrive, head and body, before the answer is 408; at most twice this."""
    graceful_seconds: int = 8
    """How long requests that are under way at a stop may take."""
    backlog: int = 2048
    longest_web_socket_message: int = 16 * 1024 * 1024


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address (`port` 0 chooses one), for `serve`. Raises `OSError` when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


class StoppingServer(uvicorn.Server):
    """uvicorn's server, which says when it is about to stop: answers that go on for ever end themselves then."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)


def server_for(
    app: ASGIApp, settings: ServerSettings | None = None, stopping: Callable[[], None] = lambda: None
) -> uvicorn.Server:
    """A server that is not running yet; `should_exit = True` stops one that is. `stopping` is called once, before it waits
    for the requests that are under way.
    """
    settings = settings or ServerSettings()
    patience = settings.patience_seconds

    class BoundedConnection(Connection):
        patience_seconds = patience

    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedConnection,
        ws="websockets-sansio",
        ws_max_size=settings.longest_web_socket_message,
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarding headers are believed or not in `client_address`.
        proxy_headers=False,
        backlog=settings.backlog,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.graceful_seconds,
    )
    return StoppingServer(config, stopping)


async def serve(app: ASGIApp, sockets: Sequence[socket.socket], settings: ServerSettings | None = None) -> None:
    """Serves on the bound sockets until SIGTERM, SIGINT or cancellation, then lets requests under way finish.

    Returns after the application's lifespan has ended; `SystemExit` when that could not start. Several processes may
    serve the same socket, inherited or passed by its descriptor: each takes what it accepts.
    """
    await server_for(app, settings).serve(sockets=list(sockets))


def run(app: ASGIApp, sockets: Sequence[socket.socket], settings: ServerSettings | None = None) -> None:
    """`serve` on an event loop of its own (uvloop), for programs that have none."""
    server_for(app, settings).run(sockets=list(sockets))


def adopt(descriptor: int) -> socket.socket:
    """The socket behind an inherited file descriptor, for `serve`."""
    return socket.socket(fileno=descriptor)
