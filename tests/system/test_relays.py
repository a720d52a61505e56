"""Relay sessions over real processes and real datagrams: who gets through, who does not, and what survives what."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.geo.mmdb import LONDON, database
from tests.polling import eventually
from tests.system.installation import Installation, node_table
from tests.system.processes import Role
from tests.system.relay_players import GUEST, HOST, INVALID, VALID, RelayPlayer, meet, players, ready
from tests.system.watching import Background
from waymeet.client import ClientError, RelayStatus, Unavailable


def test_from_create_to_delete(installation: Installation) -> None:
    installation.up()
    relays = installation.client.relays
    session = ready(installation.client)
    with players(session) as (host, guest):
        first = meet(host, guest)
        assert first > 0
        # A new user is let in when the call returns: the first answer says so.
        added = relays.authorize(session.session_id, GUEST).session_user
        with closing(RelayPlayer(session, added.authorization_token)) as another:
            assert another.state() == VALID
            second = meet(host, another)
            assert second not in (0, first)
            counted = relays.statistics(session.session_id)
            assert counted.received_packets >= 4
            assert counted.sent_bytes > 0
            assert counted.last_seen is not None
            # And shut out when that call returns, he alone.
            left = relays.revoke(session.session_id, added.authorization_token)
            assert left is not None
            assert len(left.session_users) == 2
            assert another.state() == INVALID
            assert relays.revoke(session.session_id, added.authorization_token) is None
        assert meet(host, guest) == first
        relays.delete(session.session_id)
        assert host.state() == INVALID
        assert guest.state() == INVALID


def test_a_killed_node_is_brought_level(installation: Installation) -> None:
    installation.up()
    client = installation.client
    session, ended = ready(client), ready(client)
    with players(session) as (host, guest), players(ended) as (other, _):
        meet(host, guest)
        other.wait_for_state(VALID)
        nodes = installation.only(Role.NODES)
        assert nodes.kill()
        # Most likely nobody is there to hear it yet; when this returns, somebody has.
        client.relays.delete(ended.session_id)
        installation.only(Role.NODES, other_than=nodes)
        host.wait_for_state(VALID)
        meet(host, guest)
        assert other.state() == INVALID
        assert client.relays.get(session.session_id) == session
        added = client.relays.authorize(session.session_id, GUEST).session_user
        with closing(RelayPlayer(session, added.authorization_token)) as another:
            assert another.state() == VALID
    assert [each.session_id for each in client.relays.each()] == [session.session_id]


def test_forwards_while_the_control_plane_is_killed_and_starts_again(installation: Installation) -> None:
    control_plane = installation.serve()
    installation.node(arguments=["--stop-servers"])
    client = installation.client
    installation.wait_until_ready(control_plane)
    session = ready(client)
    revoked = client.relays.authorize(session.session_id, GUEST).session_user.authorization_token
    client.relays.revoke(session.session_id, revoked)
    with players(session) as (host, guest):
        connection = meet(host, guest)

        def play_on() -> None:
            assert meet(host, guest) == connection

        def authorized() -> int:
            # The node needs a moment to find the new one.
            try:
                return client.relays.authorize(session.session_id, GUEST).session_user.authorization_token
            except ClientError:
                return 0

        for _ in range(2):
            assert installation.only(Role.CONTROL_PLANE).kill()
            control_plane.wait()
            # Nobody is there who could tell the node anything.
            for _ in range(20):
                play_on()
            for stranger in (1, revoked):
                with closing(RelayPlayer(session, stranger)) as player:
                    assert player.state() == INVALID
            with Background(play_on):
                control_plane = installation.serve()
                assert client.relays.get(session.session_id).relay == session.relay
                token = eventually(authorized)
            with closing(RelayPlayer(session, token)) as another:
                assert another.state() == VALID
        play_on()


def test_what_is_asked_of_a_relay_that_is_away_is_written_down_and_said_to_be_so(tmp_path: Path) -> None:
    with Installation(tmp_path, settings="[relays]\nconfirm_seconds = 0.1\n") as installation:
        installation.serve()
        node = installation.node(arguments=["--stop-servers"])
        installation.wait_until_ready()
        relays = installation.client.relays
        session = ready(installation.client)
        host, guest = (user.authorization_token for user in session.session_users)
        assert installation.only(Role.NODES).kill()
        node.wait()
        with pytest.raises(Unavailable) as late:
            relays.revoke(session.session_id, host)
        assert late.value.retry_after is not None
        assert [user.authorization_token for user in relays.get(session.session_id).session_users] == [guest]
        with pytest.raises(Unavailable):
            relays.delete(session.session_id)
        assert relays.page().total_count == 0


def test_a_lost_relay_is_given_up_with_a_reason(tmp_path: Path) -> None:
    with Installation(tmp_path, settings="[relays]\nnode_lost_seconds = 1\n") as installation:
        installation.serve()
        node = installation.node(arguments=["--stop-servers"])
        installation.wait_until_ready()
        client = installation.client
        session = ready(client)
        assert installation.only(Role.NODES).kill()
        node.wait()
        eventually(lambda: client.relays.get(session.session_id).status == RelayStatus.ERROR)
        found = client.relays.get(session.session_id)
        assert "has been away" in str(found.error)
        assert (found.relay, found.session_users, found.authorization_token) == (None, (), None)
        client.relays.delete(session.session_id)
        with pytest.raises(Unavailable, match="no relay is connected"):
            client.relays.create([HOST])


def test_the_nearest_of_several_relays(tmp_path: Path) -> None:
    geo = tmp_path / "geo.mmdb"
    geo.write_bytes(database({"81.2.69.0/24": LONDON}))
    places = {
        "montreal": ("127.0.0.2", "North America", 45.5, -73.56),
        "paris": ("127.0.0.3", "Europe", 48.86, 2.35),
        "tokyo": ("127.0.0.4", "Asia", 35.69, 139.69),
    }
    nodes = [
        node_table(
            name,
            address,
            more=f'location = {{ city = "{name}", country = "x", continent = "{continent}", '
            f'administrative_division = "x", timezone = "x", latitude = {latitude}, longitude = {longitude} }}',
        )
        for name, (address, continent, latitude, longitude) in places.items()
    ]
    # Nobody is measured: nothing of this leaves the machine.
    settings = f'[geo]\ndatabase = ["{geo}"]\n[latencies]\nprobing = false\n'
    with Installation(tmp_path, settings=settings, nodes=nodes) as installation:
        installation.up()
        client = installation.client
        eventually(lambda: len(client.locations.page().items) == len(places))
        session = ready(client, "81.2.69.142", HOST)
        assert session.relay is not None
        assert session.relay.ip == "127.0.0.3"
        assert [user.latitude for user in session.session_users] == [51.5072, None]
