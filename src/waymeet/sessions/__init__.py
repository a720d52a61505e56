"""Sessions: groups of players seated on deployments."""
