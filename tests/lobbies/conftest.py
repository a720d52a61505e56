"""Fixtures for this package's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.lobbies.world import LobbyWorld
from tests.relays.hands import HandRelay
from tests.stores import Store, postgres_database, sqlite_template, store

__all__ = ["postgres_database", "relay", "sqlite_template", "store", "world"]


@pytest.fixture
async def world(store: Store, anyio_backend: str) -> AsyncIterator[LobbyWorld]:
    made = await LobbyWorld(store).found()
    yield made
    await made.check_invariants()


@pytest.fixture
async def relay(world: LobbyWorld) -> HandRelay:
    """A relay that hears and confirms when the test says so."""
    return await HandRelay.joined(world)
