"""Fixtures for this package's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.latencies.world import LatencyWorld
from tests.stores import Store, postgres_database, sqlite_template, store

__all__ = ["postgres_database", "sqlite_template", "store", "world"]


@pytest.fixture
async def world(store: Store, anyio_backend: str) -> AsyncIterator[LatencyWorld]:
    world = await LatencyWorld(store).found()
    yield world
    await world.close()
