"""Being told what happens."""
