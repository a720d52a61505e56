"""What this domain needs of the store and of the outside world."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from waymeet.lobbies.types import Lobby, Room, RoomBrief, RoomOutline
from waymeet.model.ids import LobbyId, OrganisationId, RoomId, SessionId
from waymeet.model.instant import Instant
from waymeet.relays.ports import RelayTransaction

Result = TypeVar("Result")


class LobbyRows(Protocol):
    """Lobbies, and the addresses under which they live.

    An address stays with the organisation that had it first, also when its lobby is deleted: shipped games go on asking
    there, and must not meet somebody else's players.
    """

    async def claim_address(self, addresses: Sequence[str], organisation: OrganisationId, now: Instant) -> str | None:
        """The first of these that is the organisation's; if none is, the first that is nobody's, and from now on the
        organisation's; `None` when all are others'.
        """

    async def insert(self, lobby: Lobby) -> bool:
        """False, and nothing written, when the organisation has one of this name."""

    async def count(self, organisation: OrganisationId) -> int: ...

    async def find(self, organisation: OrganisationId, name: str) -> Lobby | None: ...

    async def lock(self, organisation: OrganisationId, name: str) -> Lobby | None: ...

    async def all(self, organisation: OrganisationId) -> Sequence[Lobby]:
        """By name."""

    async def at(self, address: str) -> Lobby | None:
        """The lobby that lives there, whatever its status."""

    async def save(self, lobby: Lobby) -> bool:
        """Write it, unless its revision is no longer the one before `lobby.revision`; whether it was written."""

    async def delete(self, lobby: Lobby) -> None: ...

    async def released(self) -> Sequence[Lobby]: ...

    async def moving(self, limit: int) -> Sequence[Lobby]:
        """Lobbies that are being deployed or terminated."""

    async def take_place(self, address: str, rooms: int) -> Lobby | None:
        """The Released lobby at this address, with one more room; `None` when none is there, or it has `rooms` rooms."""

    async def give_places(self, counts: Mapping[LobbyId, int]) -> None:
        """So many rooms of these lobbies are gone."""


class RoomRows(Protocol):
    """Rooms. Whoever locks a room and its relay session locks the session first.

    Whatever returns whole rooms raises `UnreadableRoom` when it meets one whose document cannot be read.
    """

    async def insert(self, room: Room, creator: str) -> None:
        """`creator` is what `count_by` counts by."""

    async def find(self, lobby_address: str, room_id: RoomId) -> Room | None:
        """A single statement: fit for `LobbyStore.read_single`."""

    async def lock(self, room_id: RoomId) -> Room | None: ...

    async def lock_outlines(self, room_ids: Collection[RoomId]) -> Sequence[RoomOutline]:
        """In the order of their ids."""

    async def lock_of(self, session_id: SessionId) -> Room | None:
        """The room that plays through this relay session."""

    async def save(self, room: Room) -> None: ...

    async def delete(self, room_ids: Collection[RoomId]) -> None: ...

    async def briefs(self, lobby_address: str, limit: int) -> Sequence[RoomBrief]:
        """Newest first."""

    async def count_by(self, lobby_id: LobbyId, creator: str) -> int:
        """How many rooms of the lobby were made from this IP address."""

    async def some_of(self, lobby_id: LobbyId, after: RoomId, limit: int) -> Sequence[RoomOutline]:
        """Rooms of the lobby in the order of their ids, those after `after`."""

    async def due(self, now: Instant, limit: int) -> Sequence[RoomOutline]:
        """Rooms with a passed deadline, the longest overdue first."""

    async def abandoned(self, limit: int) -> Sequence[RoomOutline]:
        """Started rooms whose relay session is not to be served any more, or not there at all."""

    async def touch(self, room_ids: Collection[RoomId], now: Instant) -> None:
        """Requests have named these rooms."""


class LobbyTransaction(RelayTransaction, Protocol):
    @property
    def lobbies(self) -> LobbyRows: ...

    @property
    def rooms(self) -> RoomRows: ...


class LobbyStore(Protocol):
    async def write(self, unit: Callable[[LobbyTransaction], Awaitable[Result]]) -> Result: ...

    async def read(self, unit: Callable[[LobbyTransaction], Awaitable[Result]]) -> Result: ...

    async def read_single(self, unit: Callable[[LobbyTransaction], Awaitable[Result]]) -> Result: ...

    async def scan(self, unit: Callable[[LobbyTransaction], Awaitable[Result]]) -> Result: ...


class Answering(Protocol):
    """Looks whether a lobby service answers where players will call it."""

    async def check(self, lobby: Lobby, url: str) -> str | None:
        """`None` when the service of this lobby answers at `url`; otherwise why not. Bounded in time, never raises."""
