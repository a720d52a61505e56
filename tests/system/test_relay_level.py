"""A node that died with a thousand relay sessions on it comes back with all that is still wanted, and nothing else."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.installation import TOKEN, Installation
from tests.system.processes import Role
from tests.system.relay_books import relay_books
from tests.system.relay_players import INVALID, VALID, RelayPlayer, ready
from waymeet.client import Client, RelaySession

SESSIONS = 1_000
CALLERS = 20
CHANGED = 20
"""So many are deleted, and of as many others a user is shut out, while the node is away."""


def test_a_restarted_node_is_brought_level(tmp_path: Path, database_url: str) -> None:
    with (
        Installation(tmp_path, database_url=database_url) as installation,
        Client(installation.url, TOKEN, timeout=GENEROUS_SECONDS) as client,
        ThreadPoolExecutor(2 * CHANGED) as pool,
    ):
        control_plane = installation.serve()
        node = installation.node(arguments=["--stop-servers"])
        installation.wait_until_ready(control_plane)
        with ThreadPoolExecutor(CALLERS) as makers:
            made = list(makers.map(lambda _: ready(client), range(SESSIONS)))
        ended, robbed, whole = made[:CHANGED], made[CHANGED : 2 * CHANGED], made[2 * CHANGED :]
        assert installation.only(Role.NODES).kill()
        node.wait()
        before = relay_books(installation)
        # These calls return once the relay does what they say: no sooner than when it is back and level.
        calls: list[Future[Any]] = [pool.submit(client.relays.delete, session.session_id) for session in ended]
        calls += [pool.submit(client.relays.revoke, session.session_id, tokens(session)[1]) for session in robbed]
        eventually(lambda: relay_books(installation).last_change == before.last_change + 2 * CHANGED)
        assert not any(call.done() for call in calls)
        installation.node(arguments=["--stop-servers"])
        for call in calls:
            call.result()
        # The first that was asked of anybody: whoever is let in was let in by then.
        assert states(whole, 0) == {VALID}
        assert states(whole, 1) == {VALID}
        assert states(robbed, 0) == {VALID}
        assert states(robbed, 1) == {INVALID}
        assert states(ended, 0) == {INVALID}
        left = {session.session_id for session in client.relays.each()}
        assert left == {session.session_id for session in (*robbed, *whole)}
        eventually(lambda: (load := relay_books(installation).load) is not None and load.sessions == len(left))


def tokens(session: RelaySession) -> list[int]:
    return [user.authorization_token for user in session.session_users]


def states(sessions: list[RelaySession], user: int) -> set[int]:
    """What the relay says to a user of each, 0 as host or 1 as client."""
    found = set()
    for number, session in enumerate(sessions):
        # Whoever is refused comes from an address of its own: the relay tells each of those no more than twice a second.
        source = f"127.0.{2 + number // 250}.{1 + number % 250}"
        with closing(RelayPlayer(session, tokens(session)[user], server=user == 0, source=source)) as player:
            found.add(player.state())
    return found
