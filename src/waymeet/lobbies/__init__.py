"""Lobbies: named services on their own URL, and the rooms in them where players gather before a match."""
