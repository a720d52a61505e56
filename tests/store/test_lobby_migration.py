"""From the schema before lobbies and back, with rows in it, on both databases."""

from tests.store.test_latency_migration import run
from tests.store.test_migrations import empty_url, move, tables
from waymeet.store import migrate

__all__ = ["empty_url"]

_TABLES = {"lobby", "lobby_address", "room"}
_ROWS = (
    "INSERT INTO organisation (id, name, webhook_secret, created_at) VALUES ('o', 'o', 'x', 0)",
    "INSERT INTO lobby_address (address, organisation_id, claimed_at) VALUES ('duel', 'o', 0)",
    (
        "INSERT INTO lobby (lobby_id, organisation_id, name, address, status, url, revision, room_count, created_at)"
        " VALUES ('l', 'o', 'duel', 'duel', 'Released', 'x', 1, 1, 0)"
    ),
    (
        "INSERT INTO room (room_id, lobby_id, organisation_id, lobby_address, version, name, capacity, player_count,"
        " is_joinable, tags, document, creator, created_at, active_at, due_at)"
        " VALUES ('r', 'l', 'o', 'duel', 1, 'x', 2, 1, TRUE, '[]', '{}', '203.0.113.7', 0, 0, 0)"
    ),
)


def test_a_database_of_the_version_before_gets_lobbies(empty_url: str) -> None:
    move(empty_url, "upgrade", "0004")
    assert not _TABLES & tables(empty_url)
    # As every start does.
    migrate.ensure_migrated(empty_url)
    assert tables(empty_url) >= _TABLES


def test_up_with_rows_and_down_again(empty_url: str) -> None:
    move(empty_url, "upgrade", "0005")
    run(empty_url, *_ROWS)
    move(empty_url, "downgrade", "0004")
    assert not _TABLES & tables(empty_url)
    move(empty_url, "upgrade", "0005")
    assert tables(empty_url) >= _TABLES
