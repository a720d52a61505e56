"""Counting the rows of every noun by status."""

from collections.abc import Mapping

from waymeet.store.engine import Connection
from waymeet.store.statement import Statement

_DEPLOYMENTS = Statement("SELECT status, COUNT(*) FROM deployment GROUP BY status")
_SESSIONS = Statement("SELECT status, COUNT(*) FROM session GROUP BY status")
_RELAY_SESSIONS = Statement("SELECT status, COUNT(*) FROM relay_session GROUP BY status")
_LOBBIES = Statement("SELECT status, COUNT(*) FROM lobby GROUP BY status")
_ROOMS = Statement(
    "SELECT CASE WHEN relay_session_id IS NULL THEN 'waiting' ELSE 'started' END AS status, COUNT(*) FROM room GROUP BY 1"
)
_WEBHOOKS = Statement("SELECT status, COUNT(*) FROM webhook_delivery GROUP BY status")


class CensusRows:
    """How many rows there are of each status."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def deployments(self) -> Mapping[str, int]:
        return await self._count(_DEPLOYMENTS)

    async def sessions(self) -> Mapping[str, int]:
        return await self._count(_SESSIONS)

    async def relay_sessions(self) -> Mapping[str, int]:
        return await self._count(_RELAY_SESSIONS)

    async def lobbies(self) -> Mapping[str, int]:
        return await self._count(_LOBBIES)

    async def rooms(self) -> Mapping[str, int]:
        """By whether they are started."""
        return await self._count(_ROOMS)

    async def webhooks(self) -> Mapping[str, int]:
        return await self._count(_WEBHOOKS)

    async def _count(self, statement: Statement) -> Mapping[str, int]:
        return {row[0]: row[1] for row in await self._connection.fetch(statement)}
