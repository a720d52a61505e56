"""Places on the map, and where addresses are."""
