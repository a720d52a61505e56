"""Distances on the globe, and what they cost in milliseconds."""
