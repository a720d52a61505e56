"""A thousand relay sessions, fifty callers, one node: nothing is lost, nothing is left, every token does what it is for."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.installation import TOKEN, Installation, node_table
from tests.system.relay_books import relay_books
from tests.system.relay_players import GUEST, HOST, INVALID, RelayPlayer, meet, ready
from waymeet.client import Client

SESSIONS = 1_000
CALLERS = 50
CAPACITY = CALLERS + 5
"""Little more than there are at a time: places that were not given back would soon be missing."""


def use(client: Client, source: str) -> tuple[str, tuple[int, ...]]:
    """Make a session, have everybody in it talk, and end it; its id, and all tokens that were in it."""
    session = ready(client, HOST, GUEST, GUEST)
    assert session.authorization_token is not None
    tokens = [user.authorization_token for user in session.session_users]
    with ExitStack() as stack:
        host, *guests = (
            stack.enter_context(closing(RelayPlayer(session, token, server=token == tokens[0], source=source)))
            for token in tokens
        )
        connections = [meet(host, guest) for guest in guests]
        assert len(set(connections)) == len(guests)
        client.relays.delete(session.session_id)
        for player in (host, *guests):
            assert player.state() == INVALID
    return session.session_id, (session.authorization_token, *tokens)


def counted(installation: Installation, name: str) -> float:
    text = httpx.get(f"{installation.url}/metrics", trust_env=False).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_none_is_lost_and_none_is_left(tmp_path: Path, database_url: str) -> None:
    nodes = [node_table("local", more=f"relay = {{ capacity = {CAPACITY} }}")]
    with Installation(tmp_path, database_url=database_url, nodes=nodes) as installation:
        installation.up()

        def caller(number: int) -> list[tuple[str, tuple[int, ...]]]:
            # From an address of its own: a relay listens to no more than so many strangers from one.
            source = f"127.0.1.{number + 1}"
            with Client(installation.url, TOKEN, timeout=GENEROUS_SECONDS) as client:
                return [use(client, source) for _ in range(SESSIONS // CALLERS)]

        with ThreadPoolExecutor(CALLERS) as pool:
            used = [one for each in pool.map(caller, range(CALLERS)) for one in each]
        assert len({session_id for session_id, _ in used}) == SESSIONS
        assert len({tokens[0] for _, tokens in used}) == SESSIONS
        assert installation.client.relays.page().total_count == 0
        # Forgotten once the relay knows that they ended, and what it says of itself comes with a heartbeat.
        eventually(lambda: relay_books(installation).nothing_is_left)
        books = relay_books(installation)
        assert (books.capacity, books.last_change) == (CAPACITY, 2 * SESSIONS)
        assert counted(installation, "waymeet_relay_sessions_set_aside_total") == 0
        eventually(lambda: counted(installation, 'waymeet_relay_packets_total{direction="received"}') >= 4 * SESSIONS)
