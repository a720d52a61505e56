"""What an installation's database says about its only relay."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from tests.system.installation import Installation
from waymeet.model.relays import RelayLoad
from waymeet.settings.types import SQLITE_FILE

_RELAY = "SELECT capacity, session_count, last_change, confirmed_change, load FROM relay"
_SESSIONS = "SELECT COUNT(*) FROM relay_session"


@dataclass(frozen=True)
class RelayBooks:
    """As of one moment."""

    capacity: int
    session_count: int
    """Places taken."""
    last_change: int
    confirmed_change: int
    load: RelayLoad | None
    """What the relay said about itself with its node's last heartbeat."""
    rows: int
    """Sessions, those included that have ended and are yet to be forgotten."""

    @property
    def nothing_is_left(self) -> bool:
        """No session, no place that is taken, nothing that the relay is yet to hear, and nothing in it."""
        return (
            (self.session_count, self.rows) == (0, 0)
            and self.confirmed_change == self.last_change
            and self.load is not None
            and (self.load.sessions, self.load.bindings) == (0, 0)
        )


def relay_books(installation: Installation) -> RelayBooks:
    """Read them beside the control plane."""
    if installation.database_url:
        relay, sessions = asyncio.run(_postgres(installation.database_url))
    else:
        with closing(sqlite3.connect(f"file:{installation.data / SQLITE_FILE}?mode=ro", uri=True)) as connection:
            relay, sessions = (connection.execute(query).fetchone() for query in (_RELAY, _SESSIONS))
    capacity, session_count, last_change, confirmed_change, text = relay
    load = None if text is None else msgspec.json.decode(text, type=RelayLoad)
    return RelayBooks(capacity, session_count, last_change, confirmed_change, load, sessions[0])


async def _postgres(url: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetchrow(query) for query in (_RELAY, _SESSIONS)]
    finally:
        await connection.close()
