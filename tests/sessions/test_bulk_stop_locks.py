"""Many deployments are locked in one order by everybody, so that nobody waits for somebody who waits for him."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.polling import eventually_async
from tests.stores import emptied
from tests.world import ORGANISATION, World
from waymeet.model.filters import Filter, FilterType
from waymeet.model.ids import DeploymentId, SessionId
from waymeet.store.postgres import PostgresStore
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

_AT_ONCE = Statement("SELECT request_id FROM deployment WHERE request_id = $1 FOR UPDATE NOWAIT")
_WAITING = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
async def world(postgres_database: str, anyio_backend: str) -> AsyncIterator[World]:
    """On PostgreSQL, where several transactions write at once."""
    store = PostgresStore(await emptied(postgres_database), pool_size=8)
    await store.open()
    yield await World(store).found()
    await store.close()


async def test_a_bulk_stop_holds_no_deployment_while_it_waits_for_one_that_comes_before(
    world: World, postgres_database: str
) -> None:
    await world.node("a")
    await world.version(sockets=1)
    # As many as it takes until the first deployment is not that of the first session.
    links: list[tuple[str, str]] = []
    while not links or links[0][1] == min(deployment for _, deployment in links):
        session = await world.seat()
        assert session.deployment_id is not None
        links = sorted([*links, (session.session_id, session.deployment_id)])
    first, *others = sorted(deployment for _, deployment in links)
    observer = await asyncpg.connect(postgres_database)
    stopping: list[asyncio.Task[list[SessionId]]] = []

    async def hold_the_first_and_want_the_others(tx: Transaction) -> None:
        await tx.deployments.lock_many([DeploymentId(first)])
        filters = [Filter("session_id", tuple(session for session, _ in links), FilterType.ANY)]
        stopping.append(asyncio.create_task(world.sessions.bulk_stop(ORGANISATION, filters)))

        async def waits() -> bool:
            return bool(await observer.fetchval(_WAITING))

        await eventually_async(waits)
        for deployment in others:
            await tx.connection.fetch(_AT_ONCE, deployment)

    try:
        await world.store.write(hold_the_first_and_want_the_others)
        assert sorted(await stopping[0]) == [session for session, _ in links]
    finally:
        await observer.close()
        await asyncio.gather(*stopping, return_exceptions=True)
