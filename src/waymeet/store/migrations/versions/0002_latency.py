"""Measured round-trip times, and questions about addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Instant = sa.BigInteger
Document = sa.Text


def upgrade() -> None:
    op.create_table(
        "latency",
        # `203.0.113.0/24` or `2001:db8:1::/48`.
        sa.Column("prefix", sa.Text, primary_key=True),
        # Empty for what nodes measured; otherwise the organisation whose players reported it, and who alone uses it.
        sa.Column("owner", sa.Text, primary_key=True),
        # Of `site`, which may be longer than an index takes.
        sa.Column("site_digest", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, nullable=False),
        # Null, with the three after it, where nothing ever answered.
        sa.Column("ms", sa.Double),
        sa.Column("jitter_ms", sa.Double),
        sa.Column("samples", sa.Integer),
        sa.Column("measured_at", Instant),
        # The last attempt, answered or not.
        sa.Column("asked_at", Instant, nullable=False),
    )
    op.create_index("latency_asked", "latency", ["asked_at"])
    op.create_index("latency_of_owner", "latency", ["owner", "asked_at"])
    op.add_column("node_question", sa.Column("addresses", Document))


def downgrade() -> None:
    # Whatever was asked about addresses means nothing without them.
    op.execute("DELETE FROM node_question WHERE addresses IS NOT NULL")
    op.drop_column("node_question", "addresses")
    op.drop_table("latency")
