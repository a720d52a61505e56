"""SQL, schema and migrations for SQLite and PostgreSQL: the only package that knows a database."""
