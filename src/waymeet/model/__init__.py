"""Ids, value types, states with their transition tables, and errors. Imports the standard library only."""
