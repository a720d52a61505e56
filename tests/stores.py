"""Stores to test against: everything that uses the fixture `store` runs on both databases.

A conftest makes the fixtures its own: `from tests.stores import postgres_database, sqlite_template, store`.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from waymeet.clock import SystemClock
from waymeet.store.migrate import ensure_migrated
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore

Store = SqliteStore | PostgresStore

_TABLES = """
    SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    """


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file without rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "empty.sqlite3"
    ensure_migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_database(postgres_url: str) -> str:
    """The URL of a migrated database. It is one for all tests of a worker: empty it with `emptied`."""
    ensure_migrated(postgres_url)
    return postgres_url


async def emptied(url: str) -> str:
    """`url`, once every table in it is empty."""
    raw = await asyncpg.connect(url)
    try:
        await raw.execute(f"TRUNCATE {await raw.fetchval(_TABLES)} CASCADE")
    finally:
        await raw.close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Store]:
    """An open store without rows."""
    opened: Store
    if request.param == "sqlite":
        path = tmp_path / "waymeet.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        opened = SqliteStore(path, SystemClock(), synchronous="normal")
    else:
        opened = PostgresStore(await emptied(request.getfixturevalue("postgres_database")), pool_size=8)
    await opened.open()
    yield opened
    await opened.close()
