"""Fixtures for this package's tests."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http.lobby.served import LobbyServer, serving
from tests.lobbies.world import LobbyWorld
from tests.relays.hands import HandRelay
from tests.stores import sqlite_template
from waymeet.clock import SystemClock
from waymeet.store.sqlite import SqliteStore

__all__ = ["relay", "service", "sqlite_template", "world"]


@pytest.fixture
async def world(tmp_path: Path, sqlite_template: Path, anyio_backend: str) -> AsyncIterator[LobbyWorld]:
    """On SQLite alone: that both databases do the same, the domain's tests see to."""
    path = tmp_path / "waymeet.sqlite3"
    shutil.copy(sqlite_template, path)
    store = SqliteStore(path, SystemClock(), synchronous="normal")
    await store.open()
    made = await LobbyWorld(store).found()
    yield made
    await made.check_invariants()
    await store.close()


@pytest.fixture
async def relay(world: LobbyWorld) -> HandRelay:
    """A relay that hears and confirms when the test says so."""
    return await HandRelay.joined(world)


@pytest.fixture
async def service(world: LobbyWorld) -> AsyncIterator[LobbyServer]:
    async with serving(world) as server:
        yield server
