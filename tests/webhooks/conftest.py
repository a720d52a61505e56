"""Fixtures for this package's tests."""

import pytest

from tests.stores import Store, postgres_database, sqlite_template, store
from tests.webhooks.outboxes import Outbox

__all__ = ["outbox", "postgres_database", "sqlite_template", "store"]


@pytest.fixture
async def outbox(store: Store) -> Outbox:
    """The outbox of an organisation without deliveries."""
    made = Outbox(store)
    await made.prepare()
    return made
