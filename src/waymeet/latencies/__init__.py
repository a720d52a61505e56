"""Round-trip times between locations and players that somebody measured."""
