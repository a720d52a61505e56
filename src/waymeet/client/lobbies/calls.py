"""Managing lobby services (contract 2.22 to 2.28). What players do in them is `waymeet.client.LobbyService`."""

from collections.abc import Callable

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, operation
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.retry import ONCE, Retry
from waymeet.client.calling.waiting import poll_status
from waymeet.client.calling.wire import Body, answer
from waymeet.client.errors import LobbyFailed
from waymeet.client.lobbies.types import Lobby, LobbyStatus

_LOBBIES = "/v1/lobbies"
_NEVER_RELEASED = frozenset({LobbyStatus.CREATED, LobbyStatus.TERMINATING, LobbyStatus.TERMINATED, LobbyStatus.ERROR})
_ENDED = frozenset({LobbyStatus.CREATED, LobbyStatus.TERMINATED})


class _Named(Body, frozen=True, kw_only=True):
    name: str


class Lobbies(Group[ConnectionT]):
    """`client.lobbies`: lobby services, in which players gather without a token."""

    @operation
    def create(self, name: str) -> Plan[Lobby]:
        """The new lobby service, not deployed yet: its name is reserved (1 to 63 of `a-z`, `0-9` and inner hyphens).

        `Conflict` when the name is taken.
        """
        return self._post(_LOBBIES, answer(Lobby), _Named(name=name))

    @operation
    def all(self) -> Plan[tuple[Lobby, ...]]:
        """Every lobby service."""
        return self._get(_LOBBIES, answer(tuple[Lobby, ...]))

    @operation
    def get(self, name: str) -> Plan[Lobby]:
        """The lobby service as it is now. `NotFound` when there is none of this name."""
        return self._lobby(name)

    @operation
    def deploy(self, name: str) -> Plan[Lobby]:
        """Have it answer; follow with `wait_until_released`.

        `Conflict` when it is deployed already or on its way there or back, `BadRequest` when there is none of this name
        (contract 2.27).
        """
        return self._post(f"{_LOBBIES}:deploy", answer(Lobby), _Named(name=name))

    @operation
    def wait_until_released(
        self, name: str, timeout: float = 60.0, *, on_change: Callable[[Lobby], None] | None = None
    ) -> Plan[Lobby]:
        """The lobby service once it answers, with its `url`.

        Asks every 0.2 s at first, later every 2 s. `on_change` is called with it whenever its status has changed.
        `LobbyFailed` as soon as it does not become released by waiting any more, `StillWaiting` after `timeout` seconds.
        """
        return poll_status(
            self._connection,
            lambda: self._lobby(name, ONCE),
            lambda lobby: lobby.is_released,
            lambda lobby: LobbyFailed(lobby) if lobby.status in _NEVER_RELEASED else None,
            timeout,
            f"release of lobby {name}",
            on_change,
        )

    @operation
    def terminate(self, name: str) -> Plan[Lobby]:
        """End it: its URL is gone at once, then its rooms and their relay sessions; follow with `wait_until_terminated`.

        `Conflict` when there is nothing to end, `NotFound` when there is none of this name.
        """
        return self._post(f"{_LOBBIES}:terminate", answer(Lobby), _Named(name=name))

    @operation
    def wait_until_terminated(
        self, name: str, timeout: float = 60.0, *, on_change: Callable[[Lobby], None] | None = None
    ) -> Plan[Lobby]:
        """The lobby service once nothing of it is left but its name, so that it can be deleted or deployed again.

        Asks as `wait_until_released` does. `StillWaiting` after `timeout` seconds.
        """
        return poll_status(
            self._connection,
            lambda: self._lobby(name, ONCE),
            lambda lobby: lobby.status in _ENDED,
            lambda _: None,
            timeout,
            f"end of lobby {name}",
            on_change,
        )

    @operation
    def delete(self, name: str) -> Plan[Lobby]:
        """Give the name back; the lobby service as it was.

        `BadRequest` while it is deployed or on its way there or back: terminate it first. `NotFound` when there is none.
        """
        return self._delete(_LOBBIES + path(name), answer(Lobby))

    def _lobby(self, name: str, retry: Retry | None = None) -> Plan[Lobby]:
        return self._get(_LOBBIES + path(name), answer(Lobby), retry=retry)
