"""The lobby manager: named lobby services that are deployed and terminated (contract 2.22 to 2.28).

Requests write down what is wanted; `LobbyLoop` makes it true.
"""

import random
from collections.abc import Sequence

from msgspec.structs import replace

from waymeet.lobbies.bells import LOBBY
from waymeet.lobbies.names import addresses, checked_name, is_name
from waymeet.lobbies.ports import LobbyStore, LobbyTransaction
from waymeet.lobbies.types import Lobby
from waymeet.model.errors import Conflict, Invalid, NotFound
from waymeet.model.ids import LobbyId, OrganisationId, new_hex_token
from waymeet.model.instant import Clock
from waymeet.model.states import LobbyStatus, move_lobby

HIGHEST_LOBBIES = 1_000
"""Of one organisation. The list is not paginated."""


class LobbyService:
    """Owns the table of what each status allows."""

    def __init__(self, store: LobbyStore, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng

    async def create(self, organisation: OrganisationId, name: str) -> Lobby:
        """A lobby that is not deployed yet.

        Raises `Invalid` for what is no name, `Conflict` when it is taken or there are too many.
        """
        checked_name(name)

        async def unit(tx: LobbyTransaction) -> Lobby:
            now = self._clock.now()
            if await tx.lobbies.count(organisation) >= HIGHEST_LOBBIES:
                raise Conflict(f"there are {HIGHEST_LOBBIES} lobbies, which is the limit; delete one that is not used")
            if await tx.lobbies.find(organisation, name) is not None:
                raise _taken(name)
            address = await tx.lobbies.claim_address(addresses(name, organisation), organisation, now)
            if address is None:
                raise _taken(name)
            lobby = Lobby(
                lobby_id=LobbyId(new_hex_token(self._rng)),
                organisation=organisation,
                name=name,
                address=address,
                status=LobbyStatus.CREATED,
                created_at=now,
            )
            if not await tx.lobbies.insert(lobby):
                raise _taken(name)
            return lobby

        return await self._store.write(unit)

    async def all(self, organisation: OrganisationId) -> Sequence[Lobby]:
        """Every lobby of the organisation, by name."""

        async def unit(tx: LobbyTransaction) -> Sequence[Lobby]:
            return await tx.lobbies.all(organisation)

        return await self._store.read(unit)

    async def find(self, organisation: OrganisationId, name: str) -> Lobby:
        """The lobby; `NotFound` when there is none of this name."""

        async def unit(tx: LobbyTransaction) -> Lobby | None:
            return await tx.lobbies.find(organisation, name)

        lobby = await self._store.read(unit) if is_name(name) else None
        if lobby is None:
            raise _unknown(name)
        return lobby

    async def delete(self, organisation: OrganisationId, name: str) -> Lobby:
        """Forget a lobby that does not serve, and return it as it was. Its URL stays the organisation's.

        Raises `NotFound`, or `Invalid` while it is deployed or on its way (contract 2.26 lists no 409).
        """
        if not is_name(name):
            raise _unknown(name)

        async def unit(tx: LobbyTransaction) -> Lobby:
            lobby = await tx.lobbies.lock(organisation, name)
            if lobby is None:
                raise _unknown(name)
            if lobby.status in (LobbyStatus.DEPLOYING, LobbyStatus.RELEASED, LobbyStatus.TERMINATING):
                reason = f"lobby '{name}' is {lobby.status}; terminate it and wait until it is Terminated"
                raise Invalid({"lobby_name": reason}, reason)
            await tx.lobbies.delete(lobby)
            return lobby

        return await self._store.write(unit)

    async def deploy(self, organisation: OrganisationId, name: str) -> Lobby:
        """Have its service answer; it is Released, and has a URL, once it does.

        Raises `Invalid` for an unknown lobby (2.27 lists no 404), `Conflict` when it is deployed or on its way.
        """

        async def unit(tx: LobbyTransaction) -> Lobby:
            lobby = await tx.lobbies.lock(organisation, name)
            if lobby is None:
                raise Invalid({"name": f"lobby '{name}' not found; create it first"})
            if lobby.status not in (LobbyStatus.CREATED, LobbyStatus.TERMINATED, LobbyStatus.ERROR):
                raise Conflict(f"lobby '{name}' is {lobby.status} already")
            return await _move(
                tx,
                replace(
                    lobby,
                    status=move_lobby(lobby.status, LobbyStatus.DEPLOYING),
                    deploying_since=self._clock.now(),
                    error=None,
                ),
            )

        checked_name(name)
        return await self._store.write(unit)

    async def terminate(self, organisation: OrganisationId, name: str) -> tuple[Lobby, bool]:
        """End its service: its rooms and their relay sessions end, and its URL is gone at once. True with it when there
        was something to end; a lobby whose deployment had failed is Terminated at once.

        Raises `NotFound`, or `Conflict` when it was never deployed, or is terminated or on its way there.
        """

        async def unit(tx: LobbyTransaction) -> tuple[Lobby, bool]:
            lobby = await tx.lobbies.lock(organisation, name)
            if lobby is None:
                raise _unknown(name)
            match lobby.status:
                case LobbyStatus.DEPLOYING | LobbyStatus.RELEASED:
                    ending = replace(lobby, status=move_lobby(lobby.status, LobbyStatus.TERMINATING), url="")
                    return await _move(tx, ending), True
                case LobbyStatus.ERROR:
                    ended = replace(lobby, status=move_lobby(lobby.status, LobbyStatus.TERMINATED), error=None)
                    return await _move(tx, ended), False
            raise Conflict(f"lobby '{name}' is {lobby.status}; there is nothing to terminate")

        checked_name(name)
        return await self._store.write(unit)


async def _move(tx: LobbyTransaction, lobby: Lobby) -> Lobby:
    moved = replace(lobby, revision=lobby.revision + 1)
    written = await tx.lobbies.save(moved)
    assert written, "the row is locked"
    tx.wake(LOBBY)
    return moved


def _taken(name: str) -> Conflict:
    return Conflict(f"a lobby named '{name}' exists already")


def _unknown(name: str) -> NotFound:
    return NotFound(f"Lobby '{name[:64]}' not found")
