"""What a running game server asks about itself (contract 3.8 to 3.10)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from waymeet.client.calling.address import Address, path
from waymeet.client.calling.closing import AsyncClosing, Closing
from waymeet.client.calling.connection import Awaiting, Blocking
from waymeet.client.calling.operation import ConnectionT, Group, operation
from waymeet.client.calling.plan import Call, Plan, Result
from waymeet.client.calling.retry import DEFAULT_RETRY, Retry
from waymeet.client.calling.wire import answer, nothing
from waymeet.client.deployments.tags import TagName
from waymeet.client.deployments.types import DeploymentContext, Stopping, Tag


@dataclass(frozen=True, slots=True)
class GameServerAccess:
    """The URLs and tokens that a deployment was started with."""

    context_url: str
    context_token: str = field(repr=False)
    delete_url: str
    delete_token: str = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "GameServerAccess":
        """What the ARBITRIUM variables say; give `os.environ`. `ValueError` names the variable that is missing."""

        def variable(name: str) -> str:
            value = environment.get(name, "")
            if not value:
                raise ValueError(f"{name} is not set: this program was not started as a deployment")
            return value

        return cls(
            context_url=variable("ARBITRIUM_CONTEXT_URL"),
            context_token=variable("ARBITRIUM_CONTEXT_TOKEN"),
            delete_url=variable("ARBITRIUM_DELETE_URL"),
            delete_token=variable("ARBITRIUM_DELETE_TOKEN"),
        )


class GameServerCalls(Group[ConnectionT]):
    """What a running game server may ask and say about itself, with the tokens that it was started with."""

    def __init__(self, access: GameServerAccess, connection: ConnectionT) -> None:
        super().__init__(connection)
        self._context, self._context_path = _split(access.context_url, access.context_token)
        self._stop, self._stop_path = _split(access.delete_url, access.delete_token)

    @operation
    def context(self) -> Plan[DeploymentContext]:
        """This deployment: address, ports, place, tags, and how many of its sockets are taken."""
        return self._ask("GET", "", answer(DeploymentContext), repeatable=True)

    @operation
    def add_tag(self, name: str) -> Plan[Tag]:
        """The new tag on this deployment. `Conflict` when it carries it already."""
        return self._ask("POST", "/tags", answer(Tag), body=TagName(name=name))

    @operation
    def remove_tag(self, name: str) -> Plan[None]:
        """Take a tag off this deployment. `NotFound` when it does not carry it."""
        return self._ask("DELETE", "/tags" + path(name), nothing, repeatable=True)

    @operation
    def stop(self) -> Plan[Stopping]:
        """Ask for the end of this deployment: this program is told to stop a moment later. Safe to repeat."""
        return self._connection.exchange(
            Call("DELETE", self._stop_path, answer(Stopping), repeatable=True, address=self._stop)
        )

    def _ask(
        self, method: str, below: str, read: Callable[[bytes], Result], body: object = None, repeatable: bool = False
    ) -> Plan[Result]:
        where = self._context_path + below
        return self._connection.exchange(
            Call(method, where, read, body=body, repeatable=repeatable, address=self._context)
        )


class GameServer(GameServerCalls[Blocking], Closing):
    """What a running game server may ask and say about itself; calls block.

        with GameServer(GameServerAccess.from_environment(os.environ)) as server:
            print(server.context().tags)

    `timeout` in seconds without any progress; `transport`, `monotonic` and `sleep` are for tests.
    """

    def __init__(
        self,
        access: GameServerAccess,
        *,
        timeout: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        address, _ = _split(access.context_url, access.context_token)
        connection = Blocking(
            address, timeout=timeout, retry=retry, transport=transport, monotonic=monotonic, sleep=sleep
        )
        super().__init__(access, connection)


class AsyncGameServer(GameServerCalls[Awaiting], AsyncClosing):
    """What a running game server may ask and say about itself; calls are awaited. Parameters as for `GameServer`."""

    def __init__(
        self,
        access: GameServerAccess,
        *,
        timeout: float = 10.0,
        retry: Retry = DEFAULT_RETRY,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        address, _ = _split(access.context_url, access.context_token)
        connection = Awaiting(
            address, timeout=timeout, retry=retry, transport=transport, monotonic=monotonic, sleep=sleep
        )
        super().__init__(access, connection)


def _split(url: str, token: str) -> tuple[Address, str]:
    """Server and path of a URL. These tokens go without the word `token` (contract 3.8)."""
    parts = urlsplit(url)
    return Address(f"{parts.scheme}://{parts.netloc}", token), parts.path
