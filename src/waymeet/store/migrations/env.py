"""Alembic's entry: runs the migrations on the connection that `store.migrate` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
# SQLite cannot alter most things in place; batch mode rebuilds the table instead.
context.configure(
    connection=connection, render_as_batch=connection.dialect.name == "sqlite", transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
