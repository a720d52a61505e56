"""Rows of organisations and API tokens."""

from collections.abc import Collection, Mapping, Sequence

from waymeet.accounts.types import ApiToken, Organisation
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant
from waymeet.store.engine import Connection, Row
from waymeet.store.statement import Statement

_ADD_ORGANISATION = Statement(
    "INSERT INTO organisation (id, name, webhook_secret, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
)
_FIND_ORGANISATION = Statement("SELECT id, name, created_at FROM organisation WHERE name = $1")
_ADD_TOKEN = Statement(
    """
    INSERT INTO api_token (id, organisation_id, name, secret_hash, scopes, adopted, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
    """
)
_COLUMNS = "id, organisation_id, name, scopes, adopted, created_at, last_used_at, revoked_at"
_FIND_TOKEN = Statement(f"SELECT {_COLUMNS} FROM api_token WHERE secret_hash = $1")
_COUNT_TOKENS = Statement("SELECT COUNT(*) AS total FROM api_token WHERE organisation_id = $1")
_LIST_TOKENS = Statement(f"SELECT {_COLUMNS} FROM api_token WHERE organisation_id = $1 ORDER BY created_at, id")
_REVOKE = Statement("UPDATE api_token SET revoked_at = COALESCE(revoked_at, $3) WHERE organisation_id = $1 AND id = $2")
_REINSTATE = Statement("UPDATE api_token SET name = $2, scopes = $3, revoked_at = NULL WHERE id = $1")
_REVOKE_ADOPTED = Statement(
    """
    UPDATE api_token SET revoked_at = $4
    WHERE organisation_id = $1 AND name = $2 AND id <> $3 AND adopted AND revoked_at IS NULL
    """
)
_DROP_REVOKED = Statement("DELETE FROM api_token WHERE organisation_id = $1 AND revoked_at < $2")
_RECORD_USE = Statement(
    "UPDATE api_token SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)"
)


class AccountRows:
    """`accounts.ports.AccountRows` on SQL."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add_organisation(self, organisation: Organisation, webhook_secret: str) -> bool:
        return (
            await self._connection.execute(
                _ADD_ORGANISATION, organisation.id, organisation.name, webhook_secret, organisation.created_at
            )
            == 1
        )

    async def find_organisation(self, name: str) -> Organisation | None:
        row = await self._connection.fetch_one(_FIND_ORGANISATION, name)
        return None if row is None else Organisation(OrganisationId(row["id"]), row["name"], row["created_at"])

    async def add_token(self, token: ApiToken, secret_hash: str) -> bool:
        touched = await self._connection.execute(
            _ADD_TOKEN,
            token.id,
            token.organisation,
            token.name,
            secret_hash,
            _joined(token.scopes),
            token.adopted,
            token.created_at,
        )
        return touched == 1

    async def find_token(self, secret_hash: str) -> ApiToken | None:
        row = await self._connection.fetch_one(_FIND_TOKEN, secret_hash)
        return None if row is None else _token(row)

    async def count_tokens(self, organisation: OrganisationId) -> int:
        row = await self._connection.fetch_one(_COUNT_TOKENS, organisation)
        return 0 if row is None else int(row["total"])

    async def list_tokens(self, organisation: OrganisationId) -> Sequence[ApiToken]:
        return [_token(row) for row in await self._connection.fetch(_LIST_TOKENS, organisation)]

    async def revoke(self, organisation: OrganisationId, token_id: str, now: Instant) -> bool:
        return await self._connection.execute(_REVOKE, organisation, token_id, now) == 1

    async def reinstate(self, token_id: str, name: str, scopes: Collection[str]) -> None:
        await self._connection.execute(_REINSTATE, token_id, name, _joined(scopes))

    async def revoke_adopted(self, organisation: OrganisationId, name: str, except_id: str, now: Instant) -> None:
        await self._connection.execute(_REVOKE_ADOPTED, organisation, name, except_id, now)

    async def drop_revoked(self, organisation: OrganisationId, before: Instant) -> None:
        await self._connection.execute(_DROP_REVOKED, organisation, before)

    async def record_uses(self, uses: Mapping[str, Instant]) -> None:
        # In one order everywhere, so that two processes that record the same tokens cannot deadlock.
        for token_id in sorted(uses):
            await self._connection.execute(_RECORD_USE, token_id, uses[token_id])


def _joined(scopes: Collection[str]) -> str:
    return " ".join(sorted(scopes))


def _token(row: Row) -> ApiToken:
    return ApiToken(
        id=row["id"],
        organisation=OrganisationId(row["organisation_id"]),
        name=row["name"],
        scopes=frozenset(row["scopes"].split()),
        created_at=row["created_at"],
        adopted=bool(row["adopted"]),
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
