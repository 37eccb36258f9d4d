"""Permissions and the audit log."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    attic.create_table(
        "permissions",
        sa.Column("permission_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "resource_type",
            sa.String(100),
            nullable=False,
            comment="What it was done to: agent, workflow, tool, workspace",
        ),
        sa.Column("resource_id", pg.UUID(), nullable=False),
        sa.Column("principal_type", sa.String(50), nullable=False, comment="Who gets it: user, role, workspace"),
        sa.Column("principal_id", pg.UUID(), nullable=False),
        sa.Column("can_read", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("can_write", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("can_execute", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("can_delete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("can_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("granted_by", pg.UUID(), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("permission_id", name="permissions_pkey"),
        sa.UniqueConstraint(
            "resource_type", "resource_id", "principal_type", "principal_id", name="permissions_unique"
        ),
        sa.ForeignKeyConstraint(["granted_by"], ["users.user_id"], name="permissions_granted_by_fkey"),
        comment="Rights on one resource, for a user, a role or a workspace",
    )
    attic.create_table(
        "audit_logs",
        sa.Column("audit_log_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("workspace_id", pg.UUID()),
        sa.Column(
            "event_type", sa.String(100), nullable=False, comment="What happened: agent.created, workflow.executed ..."
        ),
        sa.Column(
            "event_category", sa.String(50), nullable=False, comment="authentication, authorization, data_access ..."
        ),
        sa.Column(
            "severity",
            sa.String(20),
            server_default=sa.text("'info'"),
            nullable=False,
            comment="debug, info, warning, error, critical",
        ),
        sa.Column("user_id", pg.UUID()),
        sa.Column("ip_address", pg.INET()),
        sa.Column("user_agent", sa.Text()),
        sa.Column("resource_type", sa.String(100)),
        sa.Column("resource_id", pg.UUID()),
        sa.Column("resource_name", sa.String(255)),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("status", sa.String(50), nullable=False, comment="success, failure, pending"),
        sa.Column("error_message", sa.Text()),
        sa.Column("request_id", pg.UUID(), comment="The OpenTelemetry trace that it belongs to"),
        sa.Column("session_id", pg.UUID()),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("before_state", pg.JSONB()),
        sa.Column("after_state", pg.JSONB()),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.PrimaryKeyConstraint("audit_log_id", "created_at", name="audit_logs_pkey"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], name="audit_logs_workspace_id_fkey", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="audit_logs_user_id_fkey"),
        comment="What was done by whom; rows are never changed, and lie in partitions by month",
        postgresql_partition_by="RANGE (created_at)",
    )


def downgrade() -> None:
    attic.store_tables("permissions", "audit_logs")
