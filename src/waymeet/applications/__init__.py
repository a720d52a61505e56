"""Applications and their versions: what can be deployed."""
