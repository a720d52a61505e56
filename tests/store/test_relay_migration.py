"""From the schema before relay sessions and back, with rows in it, on both databases."""

from tests.store.test_latency_migration import run
from tests.store.test_migrations import empty_url, move, tables

__all__ = ["empty_url"]

_TABLES = {"relay", "relay_session", "relay_count"}
_NODE = (
    "INSERT INTO node (name, profile, capacity, in_use, connected, connected_at, last_seen_at)"
    " VALUES ('paris', '{}', 1, 0, TRUE, 0, 0)"
)
_RELAY = (
    "INSERT INTO relay (node_name, capacity, session_count, last_change, confirmed_change, forgotten_change)"
    " VALUES ('paris', 1, 1, 1, 0, 0)"
)
# All 32 bits of a token fit.
_SESSION = (
    "INSERT INTO relay_session (session_id, organisation_id, node_name, status, token, users, revoked, endpoint,"
    " host_name, change_number, created_at) VALUES ('000000000000-S', 'o', 'paris', 'READY', 4294967295, '[]', '[]',"
    " '{}', '', 1, 0)"
)
_LOGS = "INSERT INTO node_question (id, node_name, kind, server_key, asked_at) VALUES ('1', 'paris', 'logs', 'a', 0)"
_COUNTERS = (
    "INSERT INTO node_question (id, node_name, kind, server_key, asked_at)"
    " VALUES ('2', 'paris', 'relay', '000000000000-S', 0)"
)
_ROWS = (
    "INSERT INTO organisation (id, name, webhook_secret, created_at) VALUES ('o', 'o', 'x', 0)",
    _NODE,
    _RELAY,
    "INSERT INTO relay_count (name, count) VALUES ('sent_packets', 4294967296)",
    _SESSION,
    _LOGS,
    _COUNTERS,
)


def test_up_with_rows_and_down_again(empty_url: str) -> None:
    move(empty_url, "upgrade", "0003")
    assert not _TABLES & tables(empty_url)
    move(empty_url, "upgrade", "0004")
    assert tables(empty_url) >= _TABLES
    assert run(empty_url, *_ROWS) == ["1", "2"]
    move(empty_url, "downgrade", "0003")
    # The program of that time would not know what to make of the other question.
    assert not _TABLES & tables(empty_url)
    assert run(empty_url) == ["1"]
    move(empty_url, "upgrade", "0004")
    assert tables(empty_url) >= _TABLES
