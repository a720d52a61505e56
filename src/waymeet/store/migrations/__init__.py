"""Schema migrations (Alembic). Each is written for both databases and tested up and down on both."""
