"""Organisations, applications, nodes, deployments, sessions and webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Instants are microseconds since 1970 in a 64-bit integer; documents are JSON text that only our own code reads.
Instant = sa.BigInteger
Document = sa.Text

# SQLite numbers rows by itself only in a column of exactly the type INTEGER.
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("webhook_secret", sa.Text, nullable=False),
        # Signs beside the current one for a while after a rotation.
        sa.Column("previous_webhook_secret", sa.Text),
        sa.Column("webhook_secret_rotated_at", Instant),
        sa.Column("created_at", Instant, nullable=False),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
        sa.Column("scopes", sa.Text, nullable=False),
        # Chosen by the operator (`--token`) rather than made here.
        sa.Column("adopted", sa.Boolean, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_used_at", Instant),
        sa.Column("revoked_at", Instant),
    )
    op.create_index("api_token_of_organisation", "api_token", ["organisation_id"])
    op.create_table(
        "application",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("is_telemetry_agent_active", sa.Boolean, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.UniqueConstraint("organisation_id", "name", name="application_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "version",
        # Handed out as `app_version` (contract 2.3), so never used twice: hence autoincrement.
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("application_id", Serial, sa.ForeignKey("application.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("settings", Document, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.UniqueConstraint("application_id", "name", name="version_name"),
        sqlite_autoincrement=True,
    )
    # Finds the newest version without sorting them all.
    op.create_index("version_newest", "version", ["application_id", "id"])
    op.create_table(
        "whitelist_entry",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version_id", Serial, sa.ForeignKey("version.id", ondelete="CASCADE"), nullable=False),
        sa.Column("cidr", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
    )
    op.create_index("whitelist_entry_of_version", "whitelist_entry", ["version_id"])
    op.create_table(
        "node",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("profile", Document, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        # Deployments that hold a place on the node: everything placed there that has not ended.
        sa.Column("in_use", sa.Integer, nullable=False),
        sa.Column("connected", sa.Boolean, nullable=False),
        # Who holds the node's socket now; a handler whose token is no longer here was replaced.
        sa.Column("connection_token", sa.Text),
        sa.Column("connected_at", Instant),
        sa.Column("last_seen_at", Instant, nullable=False),
        sa.Column("load", sa.Float),
        sa.CheckConstraint("in_use >= 0", name="node_in_use"),
    )
    op.create_table(
        "deployment",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
        # No foreign key: a deployment outlives the version that it was made from.
        sa.Column("version_id", sa.BigInteger, nullable=False),
        sa.Column("application_name", sa.Text, nullable=False),
        sa.Column("version_name", sa.Text, nullable=False),
        sa.Column("node_name", sa.Text, sa.ForeignKey("node.name"), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("last_status", sa.Text),
        sa.Column("wanted", sa.Boolean, nullable=False),
        sa.Column("joinable", sa.Boolean, nullable=False),
        # Derived: joinable, wanted and not ended. Kept as a column so that the index below can be partial.
        sa.Column("accepting", sa.Boolean, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sockets", sa.Integer),
        sa.Column("sockets_used", sa.Integer, nullable=False),
        sa.Column("session_count", sa.Integer, nullable=False),
        sa.Column("location", Document, nullable=False),
        sa.Column("public_ip", sa.Text, nullable=False),
        sa.Column("fqdn", sa.Text, nullable=False),
        sa.Column("ports", Document),
        sa.Column("server", Document, nullable=False),
        sa.Column("settings", Document, nullable=False),
        # Also in the settings; a column of its own because it is read with every session.
        sa.Column("whitelisting_active", sa.Boolean, nullable=False),
        # A JSON array of {"name", "created_at", "updated_at"}; placement looks for names in it.
        sa.Column("tags", Document, nullable=False),
        sa.Column("crash", Document),
        sa.Column("error_detail", sa.Text),
        sa.Column("explanation", Document),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("starting_since", Instant),
        sa.Column("ready_at", Instant),
        sa.Column("stopped_at", Instant),
        sa.Column("ended_at", Instant),
        sa.Column("empty_since", Instant),
        sa.Column("empty_ttl_minutes", sa.Integer),
        # The next moment at which the deployments' loop has to look at the row; null: never.
        sa.Column("due_at", Instant),
        # The database itself refuses an over-seated deployment, whatever the code above it does.
        sa.CheckConstraint(
            "sockets_used >= 0 AND (sockets IS NULL OR sockets_used <= sockets)", name="deployment_seats"
        ),
        sa.CheckConstraint("session_count >= 0", name="deployment_sessions"),
    )
    op.create_index("deployment_list", "deployment", ["organisation_id", "created_at"])
    op.create_index(
        "deployment_room",
        "deployment",
        ["version_id", "node_name", "sockets_used"],
        sqlite_where=sa.text("accepting AND sockets_used < sockets"),
        postgresql_where=sa.text("accepting AND sockets_used < sockets"),
    )
    op.create_index(
        "deployment_on_node",
        "deployment",
        ["node_name"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "deployment_due",
        "deployment",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "session",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("version_id", sa.BigInteger, nullable=False),
        sa.Column("application_name", sa.Text, nullable=False),
        sa.Column("version_name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("deployment_id", sa.Text),
        # Sockets that the session occupies on its deployment now; 0 when it is not linked.
        sa.Column("seats", sa.Integer, nullable=False),
        sa.Column("user_count", sa.Integer, nullable=False),
        sa.Column("users", Document, nullable=False),
        sa.Column("selectors", Document, nullable=False),
        sa.Column("wish", Document, nullable=False),
        sa.Column("webhook_url", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("explanation", Document),
        sa.Column("retention_minutes", sa.Integer, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        # Set when the session leaves the active list.
        sa.Column("ended_at", Instant),
        sa.Column("due_at", Instant),
    )
    op.create_index(
        "session_list",
        "session",
        ["organisation_id", "created_at", "session_id"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "session_of_deployment",
        "session",
        ["deployment_id"],
        sqlite_where=sa.text("deployment_id IS NOT NULL"),
        postgresql_where=sa.text("deployment_id IS NOT NULL"),
    )
    op.create_index(
        "session_due",
        "session",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "node_question",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("node_name", sa.Text, sa.ForeignKey("node.name", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("server_key", sa.Text, nullable=False),
        sa.Column("asked_at", Instant, nullable=False),
        sa.Column("answer", Document),
    )
    op.create_index("node_question_of_node", "node_question", ["node_name"])
    op.create_table(
        "webhook_delivery",
        # Grows with every event: the order in which deliveries about one object leave.
        sa.Column("sequence", Serial, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        # The host in `url`: attempts are bounded per host.
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("attempt_log", Document, nullable=False),
        sa.Column("replay_of", sa.Text),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        # The next attempt; of a claimed delivery, the end of its lease. Null when it is finished, or when an earlier one
        # of the same object and URL is not: only the head of such a queue is due.
        sa.Column("due_at", Instant),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_token", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("webhook_delivery_list", "webhook_delivery", ["organisation_id", "sequence"])
    op.create_index("webhook_delivery_object", "webhook_delivery", ["object_key", "sequence"])
    for name, columns, condition in (
        ("webhook_delivery_due", ["host", "due_at"], "due_at IS NOT NULL"),
        ("webhook_delivery_next_due", ["due_at"], "due_at IS NOT NULL"),
        ("webhook_delivery_pending", ["organisation_id", "sequence"], "finished_at IS NULL"),
        ("webhook_delivery_finished", ["finished_at"], "finished_at IS NOT NULL"),
    ):
        op.create_index(
            name,
            "webhook_delivery",
            columns,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )


def downgrade() -> None:
    for table in (
        "webhook_delivery",
        "node_question",
        "session",
        "deployment",
        "node",
        "whitelist_entry",
        "version",
        "application",
        "api_token",
        "organisation",
    ):
        op.drop_table(table)
