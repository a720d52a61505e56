"""The bells that this domain rings."""

LOBBY = "lobby"
"""A lobby is to be deployed or terminated."""
ROOM = "room"
"""With a room's id as key: something about it changed that players can see, or it is gone."""
