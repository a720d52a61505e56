"""Starting, stopping, sharing a socket, WebSockets and mounted applications."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets.exceptions
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse
from websockets.sync.client import connect

from tests.http.conftest import Running, running
from tests.http.table import ENDPOINTS, KEY, KnownKeys
from tests.polling import GENEROUS_SECONDS, eventually
from waymeet.clock import SystemClock
from waymeet.http.application import create_app
from waymeet.http.call import Call
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.server import ServerSettings, adopt, bind, serve, server_for


class TestWebSockets:
    def test_messages_go_both_ways(self, served: Running) -> None:
        with connect(f"ws://127.0.0.1:{served.port}/echo/socket") as socket:
            socket.send("hello")
            assert socket.recv(timeout=GENEROUS_SECONDS) == "hello"

    def test_an_unknown_path_is_a_404_in_json(self, served: Running) -> None:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused, connect(f"ws://127.0.0.1:{served.port}/no"):
            pass
        assert refused.value.response.status_code == 404
        assert b"message" in (refused.value.response.body or b"")

    def test_an_ordinary_path_is_no_socket(self, served: Running) -> None:
        url = f"ws://127.0.0.1:{served.port}/v1/session/x"
        with pytest.raises(websockets.exceptions.InvalidStatus), connect(url):
            pass


def test_a_mounted_application_gets_its_paths_and_no_others() -> None:
    mounts = {"/dashboard": PlainTextResponse("a page")}
    with running(mounts=mounts) as server, server.client() as client:
        assert client.get("/dashboard").text == "a page"
        assert client.get("/dashboard/sessions").text == "a page"
        assert client.get("/dashboards").status_code == 404
        assert client.get("/v1/session/x").status_code == 200


def test_two_servers_share_a_socket() -> None:
    first = bind("127.0.0.1", 0)
    second = adopt(first.dup().detach())
    port = first.getsockname()[1]

    def app() -> Any:
        return create_app(
            ENDPOINTS,
            authenticator=KnownKeys(),
            clock=SystemClock(),
            rng=random.Random(1),
            registry=CollectorRegistry(),
        )

    servers = [server_for(app(), ServerSettings(graceful_seconds=1)) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda server=server, sock=sock: asyncio.run(server.serve(sockets=[sock])), daemon=True)
        for server, sock in zip(servers, (first, second), strict=True)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: all(server.started for server in servers))
    url = f"http://127.0.0.1:{port}/v1/session/x"
    key = {"authorization": KEY}
    assert httpx.get(url, headers=key, trust_env=False).status_code == 200
    servers[0].should_exit = True
    threads[0].join(GENEROUS_SECONDS)
    assert httpx.get(url, headers=key, trust_env=False).status_code == 200
    servers[1].should_exit = True
    threads[1].join(GENEROUS_SECONDS)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_a_request_under_way_is_answered_before_the_server_stops() -> None:
    began, go_on = threading.Event(), threading.Event()

    async def wait(call: Call[None, None]) -> dict[str, str]:
        began.set()
        await asyncio.to_thread(go_on.wait, GENEROUS_SECONDS)
        return {"done": "yes"}

    slow: Endpoint[Any, Any] = Endpoint(
        method="GET",
        path="/slow",
        handler=wait,
        summary="",
        contract="",
        tag="x",
        answers={200: dict[str, str]},
        access=Access.PUBLIC,
    )
    answers: list[httpx.Response] = []
    with running(endpoints=[slow], settings=ServerSettings(graceful_seconds=int(GENEROUS_SECONDS))) as server:
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(server.url + "/slow", timeout=GENEROUS_SECONDS, trust_env=False))
        )
        asking.start()
        assert began.wait(GENEROUS_SECONDS)
        server.server.should_exit = True
        go_on.set()
        asking.join(GENEROUS_SECONDS)
        server.thread.join(GENEROUS_SECONDS)
    assert [answer.json() for answer in answers] == [{"done": "yes"}]


def test_a_lifespan_that_fails_stops_the_start() -> None:
    database_is_there = bool([])

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if not database_is_there:
            raise RuntimeError("no database")
        yield

    app = create_app(
        [],
        authenticator=KnownKeys(),
        clock=SystemClock(),
        rng=random.Random(1),
        lifespan=lifespan,
        registry=CollectorRegistry(),
    )
    listener = bind("127.0.0.1", 0)
    with listener, pytest.raises(SystemExit):
        asyncio.run(serve(app, [listener]))


def test_binding_a_taken_port_is_an_error_at_once() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", first.getsockname()[1])
