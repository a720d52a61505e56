"""Fixtures for tests over real processes. They take seconds: all of them are marked slow."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.restartable_postgres import restartable_postgres
from tests.system.installation import Installation

__all__ = ["restartable_postgres"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def fresh_postgres(postgres_url: str) -> str:
    """The URL of an empty PostgreSQL database that nobody else uses."""
    return postgres.create_database(postgres_url, f"system_{uuid.uuid4().hex}")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A new database of each kind; empty stands for SQLite in the data directory."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("fresh_postgres"))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation on SQLite with one node, nothing of it started yet."""
    with Installation(tmp_path) as made:
        yield made
        # Shown when the test has failed.
        print(made.report())
