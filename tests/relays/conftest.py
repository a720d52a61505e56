"""Fixtures for this package's tests."""

import pytest

from tests.stores import Store, postgres_database, sqlite_template, store
from tests.world import World

__all__ = ["postgres_database", "sqlite_template", "store", "world"]


@pytest.fixture
async def world(store: Store, anyio_backend: str) -> World:
    return await World(store).found()
