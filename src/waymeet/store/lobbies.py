"""Rows of lobbies, and of the addresses under which they live."""

from collections.abc import Mapping, Sequence

from waymeet.lobbies.types import Lobby
from waymeet.model.ids import LobbyId, OrganisationId
from waymeet.model.instant import Instant
from waymeet.model.states import LobbyStatus
from waymeet.store.engine import Connection, Row
from waymeet.store.statement import Statement

HIGHEST_ADDRESSES = 10_000
"""Addresses without a lobby that stay an organisation's; the oldest beyond that are anybody's again."""

# Claiming anew makes it the newest: what is about to be lived in must not be forgotten as the oldest.
_CLAIM = Statement(
    """
    INSERT INTO lobby_address (address, organisation_id, claimed_at) VALUES ($1, $2, $3)
    ON CONFLICT (address) DO UPDATE SET claimed_at = excluded.claimed_at
        WHERE lobby_address.organisation_id = excluded.organisation_id
    """
)
_CLAIMED_BY = Statement("SELECT organisation_id FROM lobby_address WHERE address = $1")
_FORGET_OLDEST = Statement(
    """
    DELETE FROM lobby_address WHERE address IN (
        SELECT lobby_address.address FROM lobby_address LEFT JOIN lobby ON lobby.address = lobby_address.address
        WHERE lobby_address.organisation_id = $1 AND lobby.address IS NULL
        ORDER BY claimed_at DESC LIMIT 1000000000 OFFSET $2
    )
    """
)
_NAMES = (
    "lobby_id",
    "organisation_id",
    "name",
    "address",
    "status",
    "url",
    "error",
    "revision",
    "created_at",
    "deploying_since",
)
_COLUMNS = ", ".join(_NAMES)
_INSERT = Statement(
    f"INSERT INTO lobby ({_COLUMNS}, room_count) VALUES ({', '.join(f'${n}' for n in range(1, len(_NAMES) + 1))}, 0)"
    " ON CONFLICT DO NOTHING"
)
_COUNT = Statement("SELECT COUNT(*) FROM lobby WHERE organisation_id = $1")
_FIND_TEXT = f"SELECT {_COLUMNS} FROM lobby WHERE organisation_id = $1 AND name = $2"
_FIND = Statement(_FIND_TEXT)
_LOCK = Statement(f"{_FIND_TEXT} FOR UPDATE", sqlite=_FIND_TEXT)
_ALL = Statement(f"SELECT {_COLUMNS} FROM lobby WHERE organisation_id = $1 ORDER BY name")
_AT = Statement(f"SELECT {_COLUMNS} FROM lobby WHERE address = $1")
_SAVE = Statement(
    "UPDATE lobby SET status = $3, url = $4, error = $5, revision = $2, deploying_since = $6"
    " WHERE lobby_id = $1 AND revision = $2 - 1"
)
_DELETE = Statement("DELETE FROM lobby WHERE lobby_id = $1")
_RELEASED = Statement(f"SELECT {_COLUMNS} FROM lobby WHERE status = 'Released'")
_MOVING = Statement(
    f"SELECT {_COLUMNS} FROM lobby WHERE status IN ('Deploying', 'Terminating') ORDER BY lobby_id LIMIT $1"
)
_TAKE_PLACE = Statement(
    "UPDATE lobby SET room_count = room_count + 1"
    f" WHERE address = $1 AND status = 'Released' AND room_count < $2 RETURNING {_COLUMNS}"
)
_GIVE_PLACES = Statement(
    "UPDATE lobby SET room_count = CASE WHEN room_count < $2 THEN 0 ELSE room_count - $2 END WHERE lobby_id = $1"
)


class LobbyRows:
    """`lobbies.ports.LobbyRows` on SQL."""

    def __init__(self, connection: Connection, *, highest_addresses: int = HIGHEST_ADDRESSES) -> None:
        self._connection = connection
        self._highest_addresses = highest_addresses

    async def claim_address(self, addresses: Sequence[str], organisation: OrganisationId, now: Instant) -> str | None:
        owners = [await self._connection.fetch_one(_CLAIMED_BY, address) for address in addresses]
        had = [address for address, owner in zip(addresses, owners, strict=True) if owner and owner[0] == organisation]
        for address in had or addresses:
            if await self._connection.execute(_CLAIM, address, organisation, now):
                await self._connection.execute(_FORGET_OLDEST, organisation, self._highest_addresses)
                return address
        return None

    async def insert(self, lobby: Lobby) -> bool:
        written = await self._connection.execute(
            _INSERT,
            lobby.lobby_id,
            lobby.organisation,
            lobby.name,
            lobby.address,
            lobby.status.value,
            lobby.url,
            lobby.error,
            lobby.revision,
            lobby.created_at,
            lobby.deploying_since,
        )
        return written == 1

    async def count(self, organisation: OrganisationId) -> int:
        row = await self._connection.fetch_one(_COUNT, organisation)
        assert row is not None, "an aggregate always has a row"
        return int(row[0])

    async def find(self, organisation: OrganisationId, name: str) -> Lobby | None:
        row = await self._connection.fetch_one(_FIND, organisation, name)
        return None if row is None else _lobby(row)

    async def lock(self, organisation: OrganisationId, name: str) -> Lobby | None:
        row = await self._connection.fetch_one(_LOCK, organisation, name)
        return None if row is None else _lobby(row)

    async def all(self, organisation: OrganisationId) -> Sequence[Lobby]:
        return [_lobby(row) for row in await self._connection.fetch(_ALL, organisation)]

    async def at(self, address: str) -> Lobby | None:
        row = await self._connection.fetch_one(_AT, address)
        return None if row is None else _lobby(row)

    async def save(self, lobby: Lobby) -> bool:
        written = await self._connection.execute(
            _SAVE,
            lobby.lobby_id,
            lobby.revision,
            lobby.status.value,
            lobby.url,
            lobby.error,
            lobby.deploying_since,
        )
        return written == 1

    async def delete(self, lobby: Lobby) -> None:
        await self._connection.execute(_DELETE, lobby.lobby_id)

    async def released(self) -> Sequence[Lobby]:
        return [_lobby(row) for row in await self._connection.fetch(_RELEASED)]

    async def moving(self, limit: int) -> Sequence[Lobby]:
        return [_lobby(row) for row in await self._connection.fetch(_MOVING, limit)]

    async def take_place(self, address: str, rooms: int) -> Lobby | None:
        row = await self._connection.fetch_one(_TAKE_PLACE, address, rooms)
        return None if row is None else _lobby(row)

    async def give_places(self, counts: Mapping[LobbyId, int]) -> None:
        for lobby_id, count in sorted(counts.items()):
            await self._connection.execute(_GIVE_PLACES, lobby_id, count)


def _lobby(row: Row) -> Lobby:
    return Lobby(
        lobby_id=LobbyId(row["lobby_id"]),
        organisation=OrganisationId(row["organisation_id"]),
        name=row["name"],
        address=row["address"],
        status=LobbyStatus(row["status"]),
        url=row["url"],
        error=row["error"],
        revision=row["revision"],
        created_at=Instant(row["created_at"]),
        deploying_since=None if row["deploying_since"] is None else Instant(row["deploying_since"]),
    )
