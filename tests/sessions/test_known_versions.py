"""Seating in a single statement with what is remembered of a version: only as long as that is still true."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.world import ORGANISATION, World, place
from waymeet.applications.types import SessionSettings, Version
from waymeet.deployments.types import DeploymentRequest, Player
from waymeet.model.errors import Invalid
from waymeet.model.ids import NodeName, OrganisationId, SessionId
from waymeet.model.instant import Instant
from waymeet.model.states import SessionKind, SessionStatus
from waymeet.sessions.known_versions import KnownVersions
from waymeet.sessions.types import Selector, SelectorVariable, Session, Wish
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

BESIDE = place("Frankfurt", 50.11, 8.68)


async def read_version(world: World) -> Version:
    async def unit(tx: Transaction) -> Version:
        found = await tx.applications.find_version(ORGANISATION, "arena", "1.0")
        assert found is not None
        return found

    return await world.store.read(unit)


def drafted(version: Version, session_id: str = "0123456789ab-S", tags: tuple[str, ...] = ()) -> Session:
    return Session(
        session_id=SessionId(session_id),
        organisation=ORGANISATION,
        version_id=version.id,
        application_name="arena",
        version_name="1.0",
        kind=version.settings.sessions.kind,
        status=SessionStatus.INITIALIZING,
        deployment_id=None,
        seats=2,
        users=(Player("192.0.2.1"), Player("192.0.2.2")),
        selectors=tuple(Selector(tag, False, SelectorVariable("MAP", "dust")) for tag in tags),
        wish=Wish(skip_telemetry=True),
        webhook_url=None,
        error=None,
        retention_minutes=17,
        created_at=Instant(1_750_000_000_000_000),
    )


async def seat_in_one(
    world: World, version: Version, session: Session, nodes: tuple[str, ...] = ("a",), tags: tuple[str, ...] = ()
) -> Session | None:
    async def unit(tx: Transaction) -> Session | None:
        return await tx.sessions.insert_seated(session, version, [NodeName(node) for node in nodes], tags)

    return await world.store.write_single(unit)


class TestInsertSeated:
    async def test_seats_and_session_are_written_together(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=10)
        first = await world.seat(1)
        version = await read_version(world)
        waiting = await seat_in_one(world, version, drafted(version))
        assert waiting is not None
        assert (waiting.status, waiting.deployment_id) == (SessionStatus.WAITING, first.deployment_id)
        await world.ready(first.deployment_id)
        ready = await seat_in_one(world, version, drafted(version, "0123456789ac-S"))
        assert ready is not None
        assert ready.status is SessionStatus.READY
        # What was returned is what is stored, in every member.
        assert (await world.look(ready)).session == ready
        assert (await world.deployment(first.deployment_id)).sockets_used == 5
        await world.check_invariants()

    async def test_no_seats_no_session(self, world: World) -> None:
        await world.node("a")
        await world.version(sockets=2)
        await world.seat(1)
        version = await read_version(world)
        assert await seat_in_one(world, version, drafted(version)) is None
        assert await seat_in_one(world, version, drafted(version), nodes=("elsewhere",)) is None
        await world.check_invariants()

    async def test_one_of_several_nodes_and_the_tags_are_looked_for(self, world: World) -> None:
        await world.node("a", BESIDE)
        await world.node("b", BESIDE)
        await world.version(sockets=10)
        tagged = await world.deployments.deploy(
            ORGANISATION, DeploymentRequest("arena", "1.0", (Player("192.0.2.1"),), tags=("ranked",))
        )
        version = await read_version(world)
        session = drafted(version, tags=("ranked",))
        assert await seat_in_one(world, version, session, ("a", "b"), ("casual",)) is None
        seated = await seat_in_one(world, version, session, ("a", "b"), ("ranked",))
        assert seated is not None
        assert seated.deployment_id == tagged.request_id
        assert (await world.look(seated)).session == seated
        node = (await world.deployment(tagged.request_id)).node_name
        again = await seat_in_one(world, version, drafted(version, "0123456789ad-S", ("ranked",)), (node,), ("ranked",))
        assert again is not None

    @pytest.mark.parametrize("change", ["settings", "inactive version", "renamed version", "inactive application"])
    async def test_nothing_is_done_for_a_version_that_changed(self, world: World, change: str) -> None:
        await world.node("a")
        await world.version(sockets=10)
        first = await world.seat(1)
        version = await read_version(world)
        await CHANGES[change](world, version)
        assert await seat_in_one(world, version, drafted(version)) is None
        assert (await world.deployment(first.deployment_id)).sockets_used == 1
        await world.check_invariants()


class TestAnotherReplicaChangesTheVersion:
    """`other` shares the store and has a memory of its own."""

    async def test_a_group_is_seated_by_the_kind_of_now(self, world: World) -> None:
        other = World(world.store, seed=1)
        await world.node("a")
        await other.directory.refresh()
        version = await world.version(sockets=10)
        first = await world.seat(3)
        assert (await other.seat(3)).deployment_id == first.deployment_id
        await world.change_sessions(version, SessionSettings(SessionKind.MATCH, 10, autodeploy=True))
        match = await other.seat(30)
        assert match.kind is SessionKind.MATCH
        assert match.deployment_id != first.deployment_id
        assert (await other.seat(30)).deployment_id == match.deployment_id
        await world.check_invariants()

    async def test_a_version_that_was_deactivated_takes_nobody(self, world: World) -> None:
        other = World(world.store, seed=1)
        await world.node("a")
        await other.directory.refresh()
        version = await world.version(sockets=10)
        await world.seat(1)
        await other.seat(1)
        await deactivate(world, version)
        with pytest.raises(Invalid, match="not active"):
            await other.seat(1)
        await world.check_invariants()

    async def test_retention_is_that_of_now(self, world: World) -> None:
        other = World(world.store, seed=1)
        await world.node("a")
        await other.directory.refresh()
        version = await world.version(sockets=10)
        await world.seat(1)
        assert (await other.seat(1)).retention_minutes == 60
        await world.change_sessions(version, SessionSettings(SessionKind.SEAT, 10, True, session_max_duration=5))
        assert (await other.seat(1)).retention_minutes == 5


async def deactivate(world: World, version: Version) -> None:
    await save(world, replace(version, is_active=False))


async def rename(world: World, version: Version) -> None:
    await save(world, replace(version, name="2.0"))


async def change_settings(world: World, version: Version) -> None:
    await world.change_sessions(version, SessionSettings(SessionKind.SEAT, 11, True))


async def deactivate_application(world: World, version: Version) -> None:
    async def unit(tx: Transaction) -> None:
        application = await tx.applications.find_application(ORGANISATION, "arena")
        assert application is not None
        assert await tx.applications.save_application(replace(application, is_active=False))

    await world.store.write(unit)


async def save(world: World, version: Version) -> None:
    async def unit(tx: Transaction) -> None:
        assert await tx.applications.save_version(version)

    await world.store.write(unit)


CHANGES: dict[str, Callable[[World, Version], Awaitable[None]]] = {
    "settings": change_settings,
    "inactive version": deactivate,
    "renamed version": rename,
    "inactive application": deactivate_application,
}


async def test_the_memory_is_bounded_and_forgets_the_oldest(world: World) -> None:
    await world.version()
    version = await read_version(world)
    known = KnownVersions(highest=2)
    for name in ("a", "b", "a", "c"):
        known.remember(replace(version, name=name))
    assert [known.find(ORGANISATION, "arena", name) is not None for name in "abc"] == [True, False, True]
    assert known.find(ORGANISATION, "arena", None) is None
    assert known.find(OrganisationId("stranger"), "arena", "a") is None
