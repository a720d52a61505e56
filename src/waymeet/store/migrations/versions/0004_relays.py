"""Relays and relay sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Instant = sa.BigInteger
Document = sa.Text


def upgrade() -> None:
    op.create_table(
        "relay",
        sa.Column(
            "node_name", sa.Text, sa.ForeignKey("node.name", ondelete="CASCADE"), primary_key=True, nullable=False
        ),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("session_count", sa.Integer, nullable=False),
        # Numbers the node's changes in the order in which they commit: whoever takes one holds this row until then.
        sa.Column("last_change", sa.BigInteger, nullable=False),
        # Everything up to this number the node has applied.
        sa.Column("confirmed_change", sa.BigInteger, nullable=False),
        # Up to this number, sessions that ended may be missing from relay_session.
        sa.Column("forgotten_change", sa.BigInteger, nullable=False),
        # What it last said about itself.
        sa.Column("load", Document),
        sa.CheckConstraint("session_count >= 0", name="relay_session_count"),
    )
    # All relays together, those that are gone included.
    op.create_table(
        "relay_count",
        sa.Column("name", sa.Text, primary_key=True, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "relay_session",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("node_name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        # Unsigned 32 bits do not fit a signed 32-bit column.
        sa.Column("token", sa.BigInteger, nullable=False, unique=True),
        sa.Column("users", Document, nullable=False),
        sa.Column("revoked", Document, nullable=False),
        sa.Column("owner", sa.BigInteger),
        sa.Column("endpoint", Document, nullable=False),
        sa.Column("host_name", sa.Text, nullable=False),
        sa.Column("webhook_url", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("change_number", sa.BigInteger, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        # Set when the session leaves the list; the row stays until its node knows.
        sa.Column("ended_at", Instant),
        sa.Column("due_at", Instant),
    )
    op.create_index(
        "relay_session_list",
        "relay_session",
        ["organisation_id", "created_at", "session_id"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("relay_session_changes", "relay_session", ["node_name", "change_number"])
    op.create_index(
        "relay_session_initializing",
        "relay_session",
        ["node_name", "change_number"],
        sqlite_where=sa.text("status = 'INITIALIZING'"),
        postgresql_where=sa.text("status = 'INITIALIZING'"),
    )
    op.create_index("relay_session_on_node", "relay_session", ["node_name", "session_id"])
    op.create_index(
        "relay_session_due",
        "relay_session",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def downgrade() -> None:
    # The program of that time would not know what to make of the question.
    op.execute("DELETE FROM node_question WHERE kind = 'relay'")
    op.drop_table("relay_session")
    op.drop_table("relay_count")
    op.drop_table("relay")
