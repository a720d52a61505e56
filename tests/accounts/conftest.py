"""Fixtures for this package's tests."""

from tests.stores import postgres_database, sqlite_template, store

__all__ = ["postgres_database", "sqlite_template", "store"]
