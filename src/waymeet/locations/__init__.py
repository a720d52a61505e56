"""Nodes and the locations where they stand."""
