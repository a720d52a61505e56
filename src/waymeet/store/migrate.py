"""Bring a database's schema to this program's version, or say which version it has.

Run as a program of its own (`python -m waymeet.store.migrate`), because SQLAlchemy and Alembic are needed for a
fraction of a second only and would otherwise stay in the server's memory.
"""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waymeet.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

HEAD = "0005"
"""The newest revision in `migrations/versions`; a test compares the two."""

_LOCK_KEY = 0x77617970
"""PostgreSQL advisory lock: control planes that start together migrate one after another."""
_LOCK_SECONDS = 60.0
"""How long to wait on SQLite for another process that migrates."""


def ensure_migrated(url: str) -> None:
    """Migrate the database at `url` to this program's schema, if it is not there yet. Repeatable; blocks.

    Raises `Unavailable` when the database cannot be reached or its schema is newer than this program.
    """
    if url.startswith("sqlite:///") and _sqlite_revision(Path(url.removeprefix("sqlite:///"))) == HEAD:
        return
    done = subprocess.run(
        [sys.executable, "-m", "waymeet.store.migrate", "upgrade", "head"],
        input=url,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Unavailable(f"the database schema could not be brought up to date: {reason[0]}")


def _sqlite_revision(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path)) as raw:
            row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None  # Not ours, or not readable: the migration finds out, and says, what it is.
    return None if row is None else str(row[0])


def run(url: str, direction: str, revision: str) -> None:
    """Move the schema `upgrade` or `downgrade` to `revision`, in this process and in one transaction.

    A process killed half-way leaves the schema as it was; one that comes second waits, and finds nothing left to do.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import Connection, text

    config = Config()
    # Alembic reads the value as a template.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    move = command.upgrade if direction == "upgrade" else command.downgrade

    def migrate(connection: Connection) -> None:
        config.attributes["connection"] = connection
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
        move(config, revision)
        connection.commit()

    if url.startswith("sqlite:///"):
        _on_sqlite(url, migrate)
    else:
        asyncio.run(_on_postgres(url, migrate))


def _on_sqlite(url: str, migrate: "Callable[[Connection], None]") -> None:
    from sqlalchemy import create_engine, event

    engine = create_engine(url, connect_args={"timeout": _LOCK_SECONDS})

    # Python's sqlite3 begins transactions by itself, and never before a CREATE TABLE: each would be committed alone.
    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(raw: Any, _record: object) -> None:
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: "Connection") -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()


async def _on_postgres(url: str, migrate: "Callable[[Connection], None]") -> None:
    import asyncpg
    from sqlalchemy.ext.asyncio import create_async_engine

    # asyncpg reads the URL itself, as in the store: SQLAlchemy would take `?sslmode=` and the like for arguments.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url))
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def main() -> None:
    # The URL comes on standard input: a command line would show its password to every user of the machine.
    try:
        run(sys.stdin.read().strip(), sys.argv[1], sys.argv[2])
    except Exception as error:
        # SQLAlchemy wraps what the driver said into the whole statement and a link; what the driver said is the reason.
        reason = str(getattr(error, "orig", None) or error) or type(error).__name__
        sys.exit(reason.splitlines()[0])


if __name__ == "__main__":
    main()
