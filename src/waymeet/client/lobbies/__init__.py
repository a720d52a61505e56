"""Lobby services, and the rooms in them that players gather in."""
