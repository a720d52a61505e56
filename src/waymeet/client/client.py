"""The two clients: one whose calls block, one whose calls are awaited. Both carry out the same plans."""

from collections.abc import Awaitable, Callable

import httpx

from waymeet.client.applications.calls import Applications
from waymeet.client.applications.versions import Versions
from waymeet.client.applications.whitelist import Whitelist
from waymeet.client.beacons.calls import Beacons
from waymeet.client.calling.address import Address
from waymeet.client.calling.closing import AsyncClosing, Closing
from waymeet.client.calling.connection import Awaiting, Blocking
from waymeet.client.calling.operation import ConnectionT, Group, operation
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.retry import DEFAULT_RETRY, ONCE, Retry
from waymeet.client.calling.waiting import poll
from waymeet.client.calling.wire import Body, nothing
from waymeet.client.deployments.calls import Deployments
from waymeet.client.deployments.tags import Tags
from waymeet.client.errors import Unavailable, Unreachable
from waymeet.client.lobbies.calls import Lobbies
from waymeet.client.locations.calls import Locations
from waymeet.client.locations.ip_lookup import IpLookup
from waymeet.client.locations.latencies import Latencies
from waymeet.client.relays.calls import Relays
from waymeet.client.sessions.calls import Sessions
from waymeet.client.webhooks.deliveries import Webhooks


class _Source(Body, frozen=True, kw_only=True):
    source: str


class ClientCalls(Group[ConnectionT]):
    """Everything that a server can be asked, in groups, and what concerns the server as a whole."""

    def __init__(self, connection: ConnectionT) -> None:
        super().__init__(connection)
        self.applications = Applications(connection)
        self.versions = Versions(connection)
        self.whitelist = Whitelist(connection)
        self.deployments = Deployments(connection)
        self.tags = Tags(connection)
        self.sessions = Sessions(connection)
        self.relays = Relays(connection)
        self.lobbies = Lobbies(connection)
        self.locations = Locations(connection)
        self.beacons = Beacons(connection)
        self.latencies = Latencies(connection)
        self.ip = IpLookup(connection)
        self.webhooks = Webhooks(connection)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def url(self) -> str:
        """The server's base URL, without a trailing slash."""
        return self._connection.address.url

    @operation
    def check_token(self, source: str = "unity") -> Plan[None]:
        """Nothing, when the server accepts the token; `Unauthorized` or `Forbidden` when not (contract 3.11)."""
        return self._post("/v1/wizard/init-quick-start", nothing, _Source(source=source))

    @operation
    def is_alive(self) -> Plan[bool]:
        """Whether a server answers at all (`/healthz`). Needs no token."""
        return self._answers("/healthz")

    @operation
    def is_ready(self) -> Plan[bool]:
        """Whether the server can do its work now (`/readyz`): its store is there and a node is connected. Needs no
        token.
        """
        return self._answers("/readyz")

    @operation
    def wait_until_serving(self, timeout: float = 60.0) -> Plan[None]:
        """Nothing, once `is_ready`; `StillWaiting` after `timeout` seconds. For scripts that start a server."""
        return self._serving(timeout)

    def _answers(self, path: str) -> Plan[bool]:
        try:
            yield from self._get(path, nothing, retry=ONCE)
        except (Unavailable, Unreachable):
            return False
        return True

    def _serving(self, timeout: float) -> Plan[None]:
        yield from poll(
            self._connection,
            lambda: self._answers("/readyz"),
            lambda ready: ready,
            timeout,
            f"a ready server at {self.url}",
        )


class Client(ClientCalls[Blocking], Closing):
    """A server, to be called from plain code: every call blocks until its answer is there.

        with Client("http://127.0.0.1:8080", token) as client:
            session = client.sessions.create("arena", ips=["203.0.113.7"])
            ready = client.sessions.wait_until_ready(session.session_id)

    `token` with or without the word `token` before it. `timeout` in seconds without any progress. Threads may share a
    client. Every call raises what `waymeet.client.errors` lists. `transport`, `monotonic` and `sleep` are for tests.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(
            Blocking(
                Address.parse(url, token),
                timeout=timeout,
                retry=retry,
                transport=transport,
                monotonic=monotonic,
                sleep=sleep,
            )
        )


class AsyncClient(ClientCalls[Awaiting], AsyncClosing):
    """A server, to be called from an event loop: every call is awaited. Calls and parameters as for `Client`.

    async with AsyncClient("http://127.0.0.1:8080", token) as client:
        async for session in client.sessions.each():
            print(session.session_id)
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            Awaiting(
                Address.parse(url, token),
                timeout=timeout,
                retry=retry,
                transport=transport,
                monotonic=monotonic,
                sleep=sleep,
            )
        )
