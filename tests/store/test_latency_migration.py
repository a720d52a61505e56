"""From the schema before measured latency and back, with rows in it, on both databases."""

import asyncio
import sqlite3

import asyncpg

from tests.store.test_migrations import empty_url, move, tables

__all__ = ["empty_url"]

_NODE = (
    "INSERT INTO node (name, profile, capacity, in_use, connected, connected_at, last_seen_at)"
    " VALUES ('paris', '{}', 1, 0, TRUE, 0, 0)"
)
_LOGS = "INSERT INTO node_question (id, node_name, kind, server_key, asked_at) VALUES ('1', 'paris', 'logs', 'a', 0)"
_PROBE = (
    "INSERT INTO node_question (id, node_name, kind, server_key, addresses, asked_at)"
    " VALUES ('2', 'paris', 'probe', '', '[\"8.8.8.8\"]', 0)"
)


def run(url: str, *statements: str) -> list[str]:
    """Ids of the questions that are there after these statements."""
    ask = "SELECT id FROM node_question ORDER BY id"
    if url.startswith("sqlite"):
        raw = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            for statement in statements:
                raw.execute(statement)
            raw.commit()
            return [row[0] for row in raw.execute(ask)]
        finally:
            raw.close()

    async def run() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
            return [row["id"] for row in await connection.fetch(ask)]
        finally:
            await connection.close()

    return asyncio.run(run())


def test_questions_about_servers_stay(empty_url: str) -> None:
    move(empty_url, "upgrade", "0001")
    assert run(empty_url, _NODE, _LOGS) == ["1"]
    move(empty_url, "upgrade", "0002")
    assert "latency" in tables(empty_url)
    assert run(empty_url, _PROBE) == ["1", "2"]
    move(empty_url, "downgrade", "0001")
    # The program of that time would not know what to make of the other.
    assert "latency" not in tables(empty_url)
    assert run(empty_url) == ["1"]
    move(empty_url, "upgrade", "0002")
    assert run(empty_url, _PROBE) == ["1", "2"]
