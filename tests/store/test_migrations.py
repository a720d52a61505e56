"""The schema: up, down, up again, on both databases; and what happens to a process that dies half-way."""

import asyncio
import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import asyncpg
import pytest

from tests import postgres
from tests.polling import GENEROUS_SECONDS
from waymeet.model.errors import Unavailable
from waymeet.store import migrate

_VERSIONS = Path(migrate.__file__).parent / "migrations" / "versions"
_TABLES = {"organisation", "api_token", "application", "version", "deployment", "session", "webhook_delivery"}


def move(url: str, direction: str, revision: str) -> None:
    """As a process of its own, which is how the server does it."""
    subprocess.run(
        [sys.executable, "-m", "waymeet.store.migrate", direction, revision], input=url, text=True, check=True
    )


def tables(url: str) -> set[str]:
    if url.startswith("sqlite"):
        raw = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            rows = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        finally:
            raw.close()
        return {row[0] for row in rows if not row[0].startswith("sqlite_")}

    async def ask() -> set[str]:
        raw = await asyncpg.connect(url)
        try:
            rows = await raw.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        finally:
            await raw.close()
        return {row["tablename"] for row in rows}

    return asyncio.run(ask())


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        # A per cent sign in a path once broke the migration's own configuration.
        directory = tmp_path / "100%(here)s"
        directory.mkdir()
        return f"sqlite:///{directory / 'waymeet.sqlite3'}"
    url = postgres.create_database(request.getfixturevalue("postgres_url"), f"migrated_{uuid.uuid4().hex}")
    # Parameters of the URL are for asyncpg, and must reach it through the migration too.
    return f"{url}?sslmode=disable"


def test_up_down_and_up_again(empty_url: str) -> None:
    migrate.ensure_migrated(empty_url)
    assert tables(empty_url) >= _TABLES
    move(empty_url, "downgrade", "base")
    assert tables(empty_url) == {"alembic_version"}
    migrate.ensure_migrated(empty_url)
    migrate.ensure_migrated(empty_url)
    assert tables(empty_url) >= _TABLES


def test_two_processes_that_migrate_at_once_both_succeed(empty_url: str) -> None:
    command = [sys.executable, "-m", "waymeet.store.migrate", "upgrade", "head"]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write(empty_url)
        process.stdin.close()
    assert [process.wait(GENEROUS_SECONDS) for process in both] == [0, 0]
    assert tables(empty_url) >= _TABLES


def test_head_is_the_newest_revision() -> None:
    revisions: dict[str, str | None] = {}
    for path in _VERSIONS.glob("[0-9]*.py"):
        text = path.read_text()
        revision = re.search(r'^revision = "(\w+)"', text, re.MULTILINE)
        parent = re.search(r'^down_revision = (?:"(\w+)"|None)', text, re.MULTILINE)
        assert revision is not None
        assert parent is not None
        revisions[revision[1]] = parent[1]
    newest = set(revisions) - set(revisions.values())
    assert newest == {migrate.HEAD}


def test_a_migration_that_dies_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "waymeet.sqlite3"
    raw = sqlite3.connect(path)
    # In the way of the last steps: everything before them has happened by then.
    raw.execute("CREATE TABLE webhook_delivery (id)")
    raw.commit()
    with pytest.raises(Unavailable, match="webhook_delivery"):
        migrate.ensure_migrated(f"sqlite:///{path}")
    raw.execute("DROP TABLE webhook_delivery")
    raw.commit()
    raw.close()
    assert tables(f"sqlite:///{path}") == set()
    migrate.ensure_migrated(f"sqlite:///{path}")


def test_a_schema_newer_than_the_program_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'waymeet.sqlite3'}"
    migrate.ensure_migrated(url)
    raw = sqlite3.connect(tmp_path / "waymeet.sqlite3")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(Unavailable, match="9999"):
        migrate.ensure_migrated(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "waymeet.sqlite3"
    path.write_text("my shopping list, which is rather long and certainly not a database\n" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        migrate.ensure_migrated(f"sqlite:///{path}")


def test_a_database_that_cannot_be_reached_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        migrate.ensure_migrated("postgresql://nobody@127.0.0.1:1/nothing")
