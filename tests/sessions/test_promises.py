"""No deployment is ever over-seated, and none is started for nothing: any interleaving, both databases, replicas too."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stores import Store, emptied
from tests.world import World
from waymeet.clock import SystemClock
from waymeet.model.errors import Conflict, Gone, NotFound, Unsatisfiable
from waymeet.model.servers import EndReason
from waymeet.model.states import DeploymentStatus, SessionStatus
from waymeet.sessions.types import Session
from waymeet.store.postgres import PostgresStore
from waymeet.store.sqlite import SqliteStore

EXPECTED = (Unsatisfiable, Conflict, Gone, NotFound)
"""Refusals that a caller may meet in a race; anything else is a failure."""


@pytest.mark.anyio
class TestConcurrentCreates:
    @pytest.fixture
    async def replicas(self, store: Store, request: pytest.FixtureRequest) -> AsyncIterator[list[World]]:
        """One world on SQLite; two over the same database on PostgreSQL."""
        worlds = [await World(store).found()]
        second: PostgresStore | None = None
        if isinstance(store, PostgresStore):
            second = PostgresStore(request.getfixturevalue("postgres_database"), pool_size=8)
            await second.open()
            worlds.append(World(second, seed=1))
        yield worlds
        if second is not None:
            await second.close()

    async def test_200_at_once_start_exactly_the_servers_that_they_fill(self, replicas: list[World]) -> None:
        await replicas[0].node("a", capacity=200)
        await replicas[0].version(sockets=10)
        for world in replicas:
            await world.directory.refresh()
        sessions = await asyncio.gather(*(replicas[index % len(replicas)].seat(1) for index in range(200)))
        assert {session.status for session in sessions} == {SessionStatus.WAITING}
        deployments = await replicas[0].every_deployment()
        assert [deployment.sockets_used for deployment in deployments] == [10] * 20
        await replicas[0].check_invariants()

    async def test_200_at_once_on_free_seats_start_nothing(self, replicas: list[World]) -> None:
        world = replicas[0]
        await world.node("a", capacity=200)
        await world.version(sockets=50)
        for _ in range(4):
            seed = await world.seat(50)
            await world.ready(seed.deployment_id)
            await world.sessions.delete(seed.organisation, seed.session_id)
            # Keep it out of the next seed's reach, so that four servers stand there empty.
            await world.deployments.set_joinable(seed.organisation, str(seed.deployment_id), False)
        for deployment in await world.every_deployment():
            await world.deployments.set_joinable(deployment.organisation, deployment.request_id, True)
        for each in replicas:
            await each.directory.refresh()
            # Every replica knows the version now, so that what follows takes the short way where it can.
            known = await each.seat(1)
            await each.sessions.delete(known.organisation, known.session_id)
        sessions = await asyncio.gather(*(replicas[index % len(replicas)].seat(1) for index in range(200)))
        assert {session.status for session in sessions} == {SessionStatus.READY}
        assert [deployment.sockets_used for deployment in await world.every_deployment()] == [50] * 4
        await world.check_invariants()

    async def test_a_full_node_is_never_over_booked(self, replicas: list[World]) -> None:
        await replicas[0].node("a", capacity=3)
        await replicas[0].version(sockets=2)
        for world in replicas:
            await world.directory.refresh()
        sessions = await asyncio.gather(*(replicas[index % len(replicas)].seat(1) for index in range(40)))
        statuses = [session.status for session in sessions]
        assert statuses.count(SessionStatus.WAITING) == 6
        assert statuses.count(SessionStatus.ERROR) == 34
        await replicas[0].check_invariants()


Step = tuple[str, int, int]
STEPS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "seat",
                    "seat",
                    "seat",
                    "delete",
                    "add",
                    "remove",
                    "ready",
                    "crash",
                    "stop",
                    "stopped",
                    "restart",
                    "joinable",
                ]
            ),
            st.integers(0, 1_000),
            st.integers(1, 5),
        ),
        min_size=1,
        max_size=6,
    ),
    max_size=12,
)
"""Rounds of steps; the steps of one round run at the same time."""


class Interleaving:
    """Carries out steps against a world, and checks after each round that everything adds up."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sessions: list[Session] = []

    async def run(self, rounds: list[list[Step]]) -> None:
        await self.world.found()
        await self.world.node("a", capacity=4)
        await self.world.node("b", capacity=4)
        await self.world.version(sockets=4, empty_ttl=1)
        for steps in rounds:
            await asyncio.gather(*(self._step(*step) for step in steps))
            await self.world.check_invariants()

    async def _step(self, name: str, choice: int, size: int) -> None:
        step: Callable[[int, int], Awaitable[Any]] = getattr(self, f"_{name}")
        try:
            await step(choice, size)
        except EXPECTED:
            pass

    async def _seat(self, choice: int, size: int) -> None:
        self.sessions.append(await self.world.seat(size))

    async def _delete(self, choice: int, size: int) -> None:
        if session := self._session(choice):
            await self.world.sessions.delete(session.organisation, session.session_id)

    async def _add(self, choice: int, size: int) -> None:
        if session := self._session(choice):
            await self.world.sessions.add_users(session.organisation, session.session_id, ["192.0.2.1"] * size)

    async def _remove(self, choice: int, size: int) -> None:
        if session := self._session(choice):
            await self.world.sessions.remove_users(session.organisation, session.session_id, ["192.0.2.1"] * size)

    async def _ready(self, choice: int, size: int) -> None:
        if request_id := await self._deployment(choice):
            await self.world.ready(request_id)

    async def _crash(self, choice: int, size: int) -> None:
        if request_id := await self._deployment(choice):
            await self.world.ended(request_id, EndReason.CRASHED, exit_code=1)

    async def _stop(self, choice: int, size: int) -> None:
        if request_id := await self._deployment(choice):
            await self.world.deployments.stop((await self.world.deployment(request_id)).organisation, request_id)

    async def _stopped(self, choice: int, size: int) -> None:
        for deployment in await self.world.every_deployment():
            if deployment.status is DeploymentStatus.TERMINATING:
                await self.world.ended(deployment.request_id, EndReason.STOPPED)

    async def _restart(self, choice: int, size: int) -> None:
        self.world.clock.pass_seconds(size * 20)
        await self.world.deployment_loop.act_on_deadlines()
        await self.world.session_loop.forget_ended()

    async def _joinable(self, choice: int, size: int) -> None:
        if request_id := await self._deployment(choice):
            organisation = (await self.world.deployment(request_id)).organisation
            await self.world.deployments.set_joinable(organisation, request_id, choice % 2 == 0)

    def _session(self, choice: int) -> Session | None:
        return self.sessions[choice % len(self.sessions)] if self.sessions else None

    async def _deployment(self, choice: int) -> str | None:
        found = await self.world.every_deployment()
        return found[choice % len(found)].request_id if found else None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=STEPS)
def test_any_interleaving_adds_up_on_sqlite(sqlite_template: Path, rounds: list[list[Step]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "waymeet.sqlite3"
            shutil.copy(sqlite_template, path)
            store = SqliteStore(path, SystemClock(), synchronous="normal")
            await store.open()
            try:
                await Interleaving(World(store)).run(rounds)
            finally:
                await store.close()

    asyncio.run(run())


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=STEPS)
def test_any_interleaving_adds_up_on_postgres(postgres_database: str, rounds: list[list[Step]]) -> None:
    async def run() -> None:
        store = PostgresStore(await emptied(postgres_database), pool_size=6)
        await store.open()
        try:
            await Interleaving(World(store, seed=random.Random(len(rounds)).getrandbits(32))).run(rounds)
        finally:
            await store.close()

    asyncio.run(run())
