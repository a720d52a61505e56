"""Lobbies and the rooms in them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Instant = sa.BigInteger
Document = sa.Text


def _organisation() -> sa.Column[str]:
    return sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    # Outlives the lobby, so that nobody else gets the URL that shipped games ask.
    op.create_table(
        "lobby_address",
        sa.Column("address", sa.Text, primary_key=True, nullable=False),
        _organisation(),
        sa.Column("claimed_at", Instant, nullable=False),
    )
    op.create_index("lobby_address_claims", "lobby_address", ["organisation_id", "claimed_at"])
    op.create_table(
        "lobby",
        sa.Column("lobby_id", sa.Text, primary_key=True, nullable=False),
        _organisation(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False, unique=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        # Guards what the loop found out against what was asked for meanwhile.
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("room_count", sa.Integer, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("deploying_since", Instant),
        sa.UniqueConstraint("organisation_id", "name", name="lobby_name"),
    )
    op.create_index(
        "lobby_moving",
        "lobby",
        ["lobby_id"],
        sqlite_where=sa.text("status IN ('Deploying', 'Terminating')"),
        postgresql_where=sa.text("status IN ('Deploying', 'Terminating')"),
    )
    op.create_table(
        "room",
        sa.Column("room_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("lobby_id", sa.Text, sa.ForeignKey("lobby.lobby_id", ondelete="CASCADE"), nullable=False),
        sa.Column("organisation_id", sa.Text, nullable=False),
        sa.Column("lobby_address", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("player_count", sa.Integer, nullable=False),
        sa.Column("is_joinable", sa.Boolean, nullable=False),
        sa.Column("tags", Document, nullable=False),
        sa.Column("document", Document, nullable=False),
        # Set: the room is started.
        sa.Column("relay_session_id", sa.Text),
        # The IP address from which it was made.
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("active_at", Instant, nullable=False),
        sa.Column("due_at", Instant, nullable=False),
    )
    op.create_index("room_list", "room", ["lobby_address", "created_at", "room_id"])
    op.create_index("room_creators", "room", ["lobby_id", "creator"])
    op.create_index("room_due", "room", ["due_at"])
    op.create_index(
        "room_relay_session",
        "room",
        ["relay_session_id"],
        unique=True,
        sqlite_where=sa.text("relay_session_id IS NOT NULL"),
        postgresql_where=sa.text("relay_session_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("room")
    op.drop_table("lobby")
    op.drop_table("lobby_address")
