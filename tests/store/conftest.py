"""Fixtures for this package's tests."""

from tests.restartable_postgres import restartable_postgres
from tests.stores import postgres_database, sqlite_template, store

__all__ = ["postgres_database", "restartable_postgres", "sqlite_template", "store"]
