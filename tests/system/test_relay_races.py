"""Many callers change one relay session at once: what the API says of a user is what the relay does with his datagrams."""

import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

from tests.polling import GENEROUS_SECONDS, eventually
from tests.system.installation import TOKEN, Installation, node_table
from tests.system.relay_books import relay_books
from tests.system.relay_players import GUEST, INVALID, VALID, RelayPlayer, ready
from waymeet.client import ApiError, BadRequest, Client, Conflict, NotFound, RelaySession

CALLERS = 12
ROUNDS = 6
SESSIONS = 5
_sources = itertools.count()


def state(session: RelaySession, token: int) -> int:
    """What the relay says to whoever comes with this token, from an address that nobody else speaks from."""
    number = next(_sources)
    with closing(RelayPlayer(session, token, source=f"127.2.{number // 250}.{number % 250 + 1}")) as player:
        return player.state()


def come_and_go(client: Client, session: RelaySession, start: Barrier) -> tuple[list[int], list[int]]:
    """Let users in and shut every second of them out; the tokens of those who are still in, and of those who are not."""
    inside, outside = [], []
    start.wait()
    for number in range(ROUNDS):
        token = client.relays.authorize(session.session_id, GUEST).session_user.authorization_token
        assert state(session, token) == VALID
        if number % 2:
            inside.append(token)
            continue
        left = client.relays.revoke(session.session_id, token)
        assert left is not None
        assert token not in {user.authorization_token for user in left.session_users}
        assert state(session, token) == INVALID
        assert client.relays.revoke(session.session_id, token) is None
        outside.append(token)
    return inside, outside


def test_who_is_let_in_and_shut_out_by_many_at_once(tmp_path: Path, database_url: str) -> None:
    with (
        Installation(tmp_path, database_url=database_url, nodes=[node_table("local")]) as installation,
        Client(installation.url, TOKEN, timeout=GENEROUS_SECONDS) as client,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        installation.up()
        session = ready(client)
        first = [user.authorization_token for user in session.session_users]
        start = Barrier(CALLERS)
        done = list(pool.map(lambda _: come_and_go(client, session, start), range(CALLERS)))
        inside = [token for kept, _ in done for token in kept]
        outside = [token for _, lost in done for token in lost]
        assert len({*first, *inside, *outside}) == 2 + CALLERS * ROUNDS
        now = client.relays.get(session.session_id).session_users
        assert Counter(user.authorization_token for user in now) == Counter([*first, *inside])
        assert {state(session, token) for token in [*first, *inside]} == {VALID}
        assert {state(session, token) for token in outside} == {INVALID}
        client.relays.delete(session.session_id)
        assert {state(session, token) for token in [*first, *inside, *outside]} == {INVALID}


def outcome(call: Callable[..., object], *arguments: object) -> object:
    """What the call returned, or the type of the error."""
    try:
        return call(*arguments)
    except ApiError as error:
        return type(error)


def test_a_session_that_ends_while_users_come_and_go(tmp_path: Path, database_url: str) -> None:
    with (
        Installation(tmp_path, database_url=database_url, nodes=[node_table("local")]) as installation,
        Client(installation.url, TOKEN, timeout=GENEROUS_SECONDS) as client,
        ThreadPoolExecutor(3 * CALLERS) as pool,
    ):
        installation.up()
        for _ in range(SESSIONS):
            session = ready(client, *[GUEST] * (CALLERS + 1))
            tokens = [user.authorization_token for user in session.session_users]
            start = Barrier(3 * CALLERS)

            def race(call: Callable[..., object], *arguments: object, start: Barrier = start) -> object:
                start.wait()
                return outcome(call, *arguments)

            authorizing: list[Future[object]] = []
            revoking: list[Future[object]] = []
            deleting: list[Future[object]] = []
            relays, session_id = client.relays, session.session_id
            for number in range(CALLERS):
                authorizing.append(pool.submit(race, relays.authorize, session_id, GUEST))
                # Every two of them shut the same user out.
                revoking.append(pool.submit(race, relays.revoke, session_id, tokens[number // 2]))
                deleting.append(pool.submit(race, relays.delete, session_id))
            ends = Counter(each.result() for each in deleting)
            assert ends == Counter({None: 1, NotFound: CALLERS - 1})
            for each in authorizing:
                result = each.result()
                if isinstance(result, type):
                    assert result in (BadRequest, Conflict), result
                else:
                    tokens.append(result.session_user.authorization_token)  # type: ignore[attr-defined]
            for each in revoking:
                assert each.result() is NotFound or not isinstance(each.result(), type), each.result()
            assert outcome(relays.get, session_id) is NotFound
            assert outcome(relays.authorize, session_id, GUEST) is BadRequest
            assert {state(session, token) for token in tokens} == {INVALID}
        assert client.relays.page().total_count == 0
        eventually(lambda: relay_books(installation).nothing_is_left)
