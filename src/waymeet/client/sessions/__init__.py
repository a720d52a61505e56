"""Groups of players on game servers."""
