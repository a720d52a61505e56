"""Who is seated where: contract 2.1 and 2.2, on both databases."""

import pytest

from tests.world import FRANKFURT, MONTREAL, PARIS_PLAYER, TORONTO_PLAYER, World
from waymeet.applications.types import SessionSettings
from waymeet.deployments.types import DeploymentRequest
from waymeet.model.errors import Conflict, Invalid, NotFound, Unsatisfiable
from waymeet.model.filters import Filter, FilterType
from waymeet.model.servers import EndReason, ServerPhase
from waymeet.model.states import DeploymentStatus, SessionKind, SessionStatus
from waymeet.sessions.types import Selector, SelectorVariable, Wish

pytestmark = pytest.mark.anyio


class TestSeats:
    async def test_a_second_group_joins_the_running_server(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=4)
        first, second = await world.seat(2), await world.seat(2)
        assert first.deployment_id == second.deployment_id
        assert (await world.deployment(first.deployment_id)).sockets_used == 4
        await world.check_invariants()

    async def test_a_full_server_is_not_over_seated(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=4)
        first, second = await world.seat(3), await world.seat(2)
        assert first.deployment_id != second.deployment_id
        await world.check_invariants()

    async def test_the_fullest_server_is_filled_first(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=4)
        emptier, fuller = await world.seat(2), await world.seat(3)
        assert (await world.seat(1)).deployment_id == fuller.deployment_id
        assert (await world.seat(1)).deployment_id == emptier.deployment_id

    async def test_a_ready_server_comes_before_a_fuller_starting_one(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=4)
        starting = await world.seat(3)
        other = await world.seat(2)
        await world.ready(other.deployment_id)
        assert (await world.seat(1)).deployment_id == other.deployment_id != starting.deployment_id

    async def test_a_match_takes_one_socket_however_many_play(self, world: World) -> None:
        await world.node("a")
        await world.version(kind=SessionKind.MATCH, sockets=2)
        sessions = [await world.seat(10) for _ in range(3)]
        assert sessions[0].deployment_id == sessions[1].deployment_id != sessions[2].deployment_id
        assert (await world.deployment(sessions[0].deployment_id)).sockets_used == 2
        await world.check_invariants()

    async def test_a_group_that_never_fits_is_unprocessable_and_starts_nothing(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=4)
        session = await world.seat(5)
        assert session.status is SessionStatus.UNPROCESSABLE
        assert session.error is not None and "4 sockets" in session.error
        assert await world.every_deployment() == []

    async def test_deleting_a_party_frees_exactly_its_seats(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=10)
        solo, party = await world.seat(1), await world.seat(4)
        await world.sessions.delete(party.organisation, party.session_id)
        assert (await world.deployment(solo.deployment_id)).sockets_used == 1
        await world.check_invariants()

    async def test_without_autodeploy_nothing_is_started(self, world: World) -> None:
        await world.node("a")
        await world.version(autodeploy=False)
        session = await world.seat(1)
        assert session.status is SessionStatus.UNPROCESSABLE
        assert await world.every_deployment() == []

    async def test_no_capacity_is_an_error_with_a_reason(self, world: World) -> None:
        await world.node("a", capacity=1)
        await world.version(sockets=1)
        await world.seat(1)
        second = await world.seat(1)
        assert second.status is SessionStatus.ERROR
        assert second.error is not None and "room" in second.error
        await world.check_invariants()

    async def test_an_image_that_no_node_can_run_is_an_error(self, world: World) -> None:
        await world.node("a", images=("other/game",))
        await world.version()
        session = await world.seat(1)
        assert session.status is SessionStatus.ERROR

    async def test_a_version_that_changed_its_kind_does_not_mix_kinds_on_one_server(self, world: World) -> None:
        await world.node("a")
        version = await world.version(sockets=10)
        seat = await world.seat(3)
        await world.change_sessions(version, SessionSettings(SessionKind.MATCH, 10, autodeploy=True))
        match = await world.seat(30)
        assert match.deployment_id != seat.deployment_id
        assert (await world.deployment(seat.deployment_id)).sockets_used == 3
        assert (await world.deployment(match.deployment_id)).kind is SessionKind.MATCH
        await world.check_invariants()

    async def test_fewer_sockets_in_the_version_leave_room_on_servers_that_have_more(self, world: World) -> None:
        await world.node("a")
        version = await world.version(sockets=10)
        first = await world.seat(3)
        await world.change_sessions(version, SessionSettings(SessionKind.SEAT, 2, autodeploy=True))
        assert (await world.seat(3)).deployment_id == first.deployment_id
        assert (await world.seat(5)).status is SessionStatus.UNPROCESSABLE

    async def test_a_session_of_nobody_is_seated(self, world: World) -> None:
        await world.node("a")
        await world.version()
        session = await world.seat(0, wish=Wish(location=PARIS_PLAYER))
        assert (session.user_count, session.status) == (0, SessionStatus.WAITING)


class TestPlace:
    async def test_a_group_is_seated_near_its_players(self, world: World) -> None:
        await world.node("frankfurt", FRANKFURT)
        await world.node("montreal", MONTREAL)
        await world.version()
        european, american = await world.seat(2, PARIS_PLAYER), await world.seat(2, TORONTO_PLAYER)
        assert (await world.deployment(european.deployment_id)).node_name == "frankfurt"
        assert (await world.deployment(american.deployment_id)).node_name == "montreal"

    async def test_a_near_server_is_started_rather_than_a_far_one_joined(self, world: World) -> None:
        await world.node("montreal", MONTREAL)
        await world.version()
        far = await world.seat(1, PARIS_PLAYER)
        await world.node("frankfurt", FRANKFURT)
        near = await world.seat(1, PARIS_PLAYER)
        assert near.deployment_id != far.deployment_id
        assert (await world.deployment(near.deployment_id)).node_name == "frankfurt"

    async def test_a_far_server_is_joined_when_no_nearer_one_can_be_started(self, world: World) -> None:
        await world.node("frankfurt", FRANKFURT, capacity=0)
        await world.node("montreal", MONTREAL)
        await world.version()
        first = await world.seat(1, PARIS_PLAYER)
        assert (await world.seat(1, PARIS_PLAYER)).deployment_id == first.deployment_id

    async def test_without_autodeploy_a_far_server_is_joined(self, world: World) -> None:
        await world.node("montreal", MONTREAL)
        await world.version("started")
        started = await world.seat(1, TORONTO_PLAYER, "started")
        await world.node("frankfurt", FRANKFURT)
        await world.version("1.0", autodeploy=False)
        assert (await world.seat(1, PARIS_PLAYER)).status is SessionStatus.UNPROCESSABLE
        assert (await world.deployment(started.deployment_id)).node_name == "montreal"

    async def test_a_constraint_outweighs_distance(self, world: World) -> None:
        await world.node("frankfurt", FRANKFURT)
        await world.node("montreal", MONTREAL)
        await world.version()
        only_america = Wish(filters=(Filter("continent", ("north america ",), FilterType.ANY),))
        session = await world.seat(1, PARIS_PLAYER, wish=only_america)
        assert (await world.deployment(session.deployment_id)).node_name == "montreal"

    async def test_a_constraint_that_nothing_meets_is_unprocessable(self, world: World) -> None:
        await world.node("frankfurt", FRANKFURT)
        await world.version()
        session = await world.seat(1, wish=Wish(filters=(Filter("city", ("Atlantis",), FilterType.ANY),)))
        assert session.status is SessionStatus.UNPROCESSABLE
        assert session.error is not None and "filters" in session.error

    async def test_location_tags_are_filtered_by_key_and_by_key_and_value(self, world: World) -> None:
        await world.node("plain", FRANKFURT)
        await world.node("gold", MONTREAL, tags={"tier": "gold"})
        await world.version()
        for value in ("tier=gold", "tier"):
            wish = Wish(filters=(Filter("location_tags", (value,), FilterType.ANY),))
            session = await world.seat(1, PARIS_PLAYER, wish=wish)
            assert (await world.deployment(session.deployment_id)).node_name == "gold"

    async def test_a_group_waits_for_a_node_that_is_away_for_a_moment(self, world: World) -> None:
        name = await world.node("a")
        await world.version()
        await world.locations.leave(name, world.tokens["a"])
        await world.directory.refresh()
        session = await world.seat(2)
        assert (session.status, session.deployment_id) == (SessionStatus.SEEKING, None)
        world.clock.pass_seconds(5)
        await world.session_loop.act_on_due()
        assert (await world.look(session)).session.status is SessionStatus.SEEKING
        await world.node("a")
        world.clock.pass_seconds(1)
        await world.session_loop.act_on_due()
        seated = await world.look(session)
        assert seated.session.status is SessionStatus.WAITING
        assert seated.deployment is not None and seated.deployment.sockets_used == 2
        await world.check_invariants()

    async def test_a_group_does_not_wait_for_a_node_that_stays_away(self, world: World) -> None:
        name = await world.node("a")
        await world.version()
        await world.locations.leave(name, world.tokens["a"])
        await world.directory.refresh()
        session = await world.seat(1)
        world.clock.pass_seconds(130)
        await world.session_loop.act_on_due()
        assert (await world.look(session)).session.status is SessionStatus.ERROR
        assert (await world.seat(1)).status is SessionStatus.ERROR
        assert await world.every_deployment() == []


class TestSelectors:
    async def test_tags_choose_a_deployment_and_env_goes_only_into_one_that_is_started(self, world: World) -> None:
        await world.node("a")
        await world.version()
        plain = await world.seat(1)
        ranked = (Selector("ranked"), Selector("map-a", env=SelectorVariable("MAP_ID", "1")))
        first = await world.seat(1, selectors=ranked)
        assert first.deployment_id != plain.deployment_id
        started = await world.deployment(first.deployment_id)
        assert [tag.name for tag in started.tags] == ["ranked", "map-a"]
        assert started.server.environment["MAP_ID"] == "1"
        other_env = (Selector("ranked", env=SelectorVariable("MAP_ID", "2")),)
        second = await world.seat(1, selectors=other_env)
        assert second.deployment_id == first.deployment_id
        assert (await world.deployment(first.deployment_id)).server.environment["MAP_ID"] == "1"

    async def test_tag_only_is_recorded_but_never_chooses(self, world: World) -> None:
        await world.node("a")
        await world.version()
        plain = await world.seat(1)
        session = await world.seat(1, selectors=(Selector("party-7", tag_only=True),))
        assert session.deployment_id == plain.deployment_id
        assert [entry.tag for entry in session.selectors] == ["party-7"]

    async def test_a_tag_is_matched_whole_and_by_case(self, world: World) -> None:
        await world.node("a")
        await world.version()
        await world.seat(1, selectors=(Selector('odd"name":"ranked'), Selector("ranked2")))
        session = await world.seat(1, selectors=(Selector("ranked"),))
        assert len(await world.every_deployment()) == 2
        assert (await world.seat(1, selectors=(Selector("Ranked"),))).deployment_id != session.deployment_id

    async def test_a_tag_put_on_later_counts_at_once(self, world: World) -> None:
        await world.node("a")
        await world.version()
        plain = await world.seat(1)
        assert plain.deployment_id is not None
        await world.deployments.add_tag(plain.organisation, plain.deployment_id, "ranked")
        assert (await world.seat(1, selectors=(Selector("ranked"),))).deployment_id == plain.deployment_id


class TestLifecycle:
    async def test_a_session_waits_for_its_server_and_becomes_ready_with_it(self, world: World) -> None:
        await world.node("a")
        await world.version()
        session = await world.seat(1)
        assert session.status is SessionStatus.WAITING
        await world.report(session.deployment_id, ServerPhase.STARTING)
        assert not (await world.look(session)).ready
        await world.ready(session.deployment_id)
        assert (await world.look(session)).ready
        assert (await world.seat(1)).status is SessionStatus.READY

    async def test_a_server_that_fails_before_it_is_ready_is_the_sessions_error(self, world: World) -> None:
        await world.node("a")
        await world.version()
        session = await world.seat(2)
        await world.ended(session.deployment_id, EndReason.CRASHED, exit_code=3, message="exit code 3")
        seated = await world.look(session)
        assert seated.session.status is SessionStatus.ERROR
        assert seated.session.error is not None and "exit code 3" in seated.session.error
        assert seated.deployment is None
        await world.check_invariants()

    async def test_a_server_that_dies_later_ends_its_sessions(self, world: World) -> None:
        await world.node("a")
        await world.version()
        session = await world.seat(2)
        await world.ready(session.deployment_id)
        await world.ended(session.deployment_id, EndReason.CRASHED, exit_code=3)
        assert (await world.look(session)).session.status is SessionStatus.TERMINATED
        assert (await world.deployment(session.deployment_id)).status is DeploymentStatus.ERROR
        world.clock.pass_seconds(59 * 60)
        await world.session_loop.forget_ended()
        await world.look(session)
        world.clock.pass_seconds(2 * 60)
        await world.session_loop.forget_ended()
        await world.check_invariants()
        with pytest.raises(NotFound):
            await world.look(session)

    async def test_sessions_that_were_never_seated_vanish_too(self, world: World) -> None:
        await world.node("a")
        await world.version()
        await world.version("closed", autodeploy=False)
        unprocessable, failed = await world.seat(1, version="closed"), await world.seat(1)
        await world.ended(failed.deployment_id, EndReason.CRASHED, exit_code=3)
        world.clock.pass_seconds(59 * 60)
        await world.session_loop.forget_ended()
        assert (await world.look(unprocessable)).session.status is SessionStatus.UNPROCESSABLE
        assert (await world.look(failed)).session.status is SessionStatus.ERROR
        world.clock.pass_seconds(2 * 60)
        await world.session_loop.forget_ended()
        for session in (unprocessable, failed):
            with pytest.raises(NotFound):
                await world.look(session)
        await world.check_invariants()

    async def test_a_restarting_server_makes_its_sessions_wait_again(self, world: World) -> None:
        await world.node("a")
        await world.version()
        session = await world.seat(1)
        await world.ready(session.deployment_id)
        await world.report(session.deployment_id, ServerPhase.STARTING)
        assert (await world.look(session)).session.status is SessionStatus.WAITING
        await world.ready(session.deployment_id)
        assert (await world.look(session)).ready

    async def test_stopping_a_deployment_ends_its_sessions(self, world: World) -> None:
        await world.node("a")
        await world.version()
        session = await world.seat(2)
        await world.ready(session.deployment_id)
        assert session.deployment_id is not None
        await world.deployments.stop(session.organisation, session.deployment_id)
        assert not (await world.look(session)).ready
        # Nobody is seated on a server that is being stopped.
        assert (await world.seat(1)).deployment_id != session.deployment_id
        await world.ended(session.deployment_id, EndReason.STOPPED)
        assert (await world.look(session)).session.status is SessionStatus.TERMINATED
        await world.check_invariants()

    async def test_an_empty_server_is_stopped_after_its_time_and_not_before(self, world: World) -> None:
        await world.node("a")
        await world.version(empty_ttl=5)
        session = await world.seat(2)
        await world.ready(session.deployment_id)
        world.clock.pass_seconds(3600)
        await world.deployment_loop.act_on_deadlines()
        assert (await world.deployment(session.deployment_id)).wanted
        await world.sessions.delete(session.organisation, session.session_id)
        await world.deployment_loop.act_on_deadlines()
        world.clock.pass_seconds(4 * 60)
        await world.deployment_loop.act_on_deadlines()
        assert (await world.deployment(session.deployment_id)).wanted
        newcomer = await world.seat(1)
        assert newcomer.deployment_id == session.deployment_id
        world.clock.pass_seconds(10 * 60)
        await world.deployment_loop.act_on_deadlines()
        assert (await world.deployment(session.deployment_id)).wanted
        await world.sessions.delete(newcomer.organisation, newcomer.session_id)
        await world.deployment_loop.act_on_deadlines()
        world.clock.pass_seconds(5 * 60)
        await world.deployment_loop.act_on_deadlines()
        assert not (await world.deployment(session.deployment_id)).wanted

    async def test_a_server_that_never_answers_fails_in_time(self, world: World) -> None:
        await world.node("a")
        await world.version()
        session = await world.seat(1)
        await world.report(session.deployment_id, ServerPhase.STARTING)
        world.clock.pass_seconds(119)
        await world.deployment_loop.act_on_deadlines()
        assert (await world.look(session)).session.status is SessionStatus.WAITING
        world.clock.pass_seconds(2)
        await world.deployment_loop.act_on_deadlines()
        seated = await world.look(session)
        assert seated.session.status is SessionStatus.ERROR
        assert seated.session.error is not None and "time_to_deploy" in seated.session.error
        await world.check_invariants()

    async def test_a_servers_silence_proves_nothing_while_its_node_is_away(self, world: World) -> None:
        name = await world.node("a")
        await world.version()
        session = await world.seat(1)
        await world.locations.leave(name, world.tokens["a"])
        await world.directory.refresh()
        world.clock.pass_seconds(200)
        await world.deployment_loop.act_on_deadlines()
        assert (await world.look(session)).session.status is SessionStatus.WAITING
        await world.node("a")
        await world.ready(session.deployment_id)
        world.clock.pass_seconds(20)
        await world.deployment_loop.act_on_deadlines()
        assert (await world.look(session)).ready

    async def test_a_deployment_ends_after_its_maximum_duration(self, world: World) -> None:
        await world.node("a")
        await world.version(max_duration=10)
        session = await world.seat(1)
        await world.ready(session.deployment_id)
        world.clock.pass_seconds(601)
        await world.deployment_loop.act_on_deadlines()
        assert (await world.deployment(session.deployment_id)).status is DeploymentStatus.TERMINATING


class TestUsers:
    async def test_users_come_and_go_with_their_seats(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=4)
        session = await world.seat(2)
        await world.sessions.add_users(session.organisation, session.session_id, ["192.0.2.9", "192.0.2.9"])
        assert (await world.deployment(session.deployment_id)).sockets_used == 4
        with pytest.raises(Unsatisfiable):
            await world.sessions.add_users(session.organisation, session.session_id, ["192.0.2.10"])
        left = await world.sessions.remove_users(session.organisation, session.session_id, ["192.0.2.9", "203.0.113.1"])
        assert [user.ip for user in left].count("192.0.2.9") == 1
        assert (await world.deployment(session.deployment_id)).sockets_used == 3
        await world.check_invariants()

    async def test_a_named_deployment_that_cannot_take_the_session_is_a_conflict(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=2)
        await world.version("2.0")
        full = await world.seat(2)
        with pytest.raises(Conflict, match="sockets"):
            await world.seat(1, deployment_id=full.deployment_id)
        with pytest.raises(Conflict, match="another"):
            await world.seat(1, version="2.0", deployment_id=full.deployment_id)
        other = await world.seat(1)
        assert (await world.seat(1, version=None, deployment_id=other.deployment_id)).version_name == "1.0"
        assert other.deployment_id is not None
        await world.deployments.set_joinable(other.organisation, other.deployment_id, False)
        with pytest.raises(Conflict, match="joinable"):
            await world.seat(1, deployment_id=other.deployment_id)
        assert (await world.seat(1)).deployment_id != other.deployment_id
        await world.check_invariants()

    async def test_a_default_version_takes_sessions_only_on_a_named_deployment(self, world: World) -> None:
        await world.node("a")
        version = await world.version(kind=SessionKind.DEFAULT)
        with pytest.raises(Invalid, match="Default"):
            await world.seat(1)
        deployment = await world.deployments.deploy(version.organisation, DeploymentRequest("arena", "1.0"))
        session = await world.seat(3, deployment_id=deployment.request_id)
        assert (session.kind, session.seats) == (SessionKind.DEFAULT, 0)
        await world.check_invariants()


class TestBulkStop:
    async def test_every_page_of_sessions_is_gone_through(self, world: World) -> None:
        await world.node("a", capacity=3)
        await world.version(sockets=1000)
        sessions = [await world.seat(1) for _ in range(230)]
        others = await world.seat(1, selectors=(Selector("kept"),))
        filters = [Filter("request_id", (str(sessions[0].deployment_id),), FilterType.ANY)]
        stopped = await world.sessions.bulk_stop(others.organisation, filters)
        assert set(stopped) == {session.session_id for session in sessions}
        assert (await world.look(others)).session.status is SessionStatus.WAITING
        await world.check_invariants()


class TestSeekingAgain:
    async def test_a_version_that_changed_meanwhile_ends_the_search_and_the_session_can_be_deleted(
        self, world: World
    ) -> None:
        name = await world.node("a")
        version = await world.version()
        await world.locations.leave(name, world.tokens["a"])
        await world.directory.refresh()
        session = await world.seat(3)
        await world.change_sessions(version, SessionSettings(SessionKind.MATCH, 4, autodeploy=True))
        await world.node("a")
        world.clock.pass_seconds(1)
        await world.session_loop.act_on_due()
        assert (await world.look(session)).session.status is SessionStatus.ERROR
        await world.sessions.delete(session.organisation, session.session_id)
        await world.check_invariants()
