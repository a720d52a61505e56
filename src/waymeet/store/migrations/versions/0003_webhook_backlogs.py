"""Pending webhooks by receiver, so that each receiver's backlog can be counted without reading deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PENDING = sa.text("finished_at IS NULL")


def upgrade() -> None:
    _index(["organisation_id", "host", "sequence"])


def downgrade() -> None:
    _index(["organisation_id", "sequence"])


def _index(columns: list[str]) -> None:
    op.drop_index("webhook_delivery_pending", "webhook_delivery")
    op.create_index(
        "webhook_delivery_pending",
        "webhook_delivery",
        columns,
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
