"""Indexes: permissions and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0600"
down_revision = "2026_11_20_0500"


def upgrade() -> None:
    op.create_index("idx_permissions_resource", "permissions", ["resource_type", "resource_id"])
    op.create_index("idx_permissions_principal", "permissions", ["principal_type", "principal_id"])
    op.create_index(
        "idx_permissions_expires", "permissions", ["expires_at"], postgresql_where=sa.text("expires_at IS NOT NULL")
    )
    op.create_index(
        "idx_permissions_check",
        "permissions",
        ["resource_type", "resource_id", "principal_type", "principal_id"],
        postgresql_include=["expires_at", "can_read", "can_write", "can_execute", "can_delete", "can_admin"],
    )
    op.create_index("idx_permissions_granted_by", "permissions", ["granted_by"])
    op.create_index("idx_audit_logs_workspace_time", "audit_logs", ["workspace_id", sa.text("created_at DESC")])
    op.create_index("idx_audit_logs_user_time", "audit_logs", ["user_id", sa.text("created_at DESC")])
    op.create_index("idx_audit_logs_event_type", "audit_logs", ["event_type", sa.text("created_at DESC")])
    op.create_index("idx_audit_logs_request_id", "audit_logs", ["request_id"])
    op.create_index("idx_audit_logs_workspace_event", "audit_logs", ["workspace_id", "event_type", "created_at"])


def downgrade() -> None:
    op.drop_index("idx_audit_logs_workspace_event", "audit_logs")
    op.drop_index("idx_audit_logs_request_id", "audit_logs")
    op.drop_index("idx_audit_logs_event_type", "audit_logs")
    op.drop_index("idx_audit_logs_user_time", "audit_logs")
    op.drop_index("idx_audit_logs_workspace_time", "audit_logs")
    op.drop_index("idx_permissions_granted_by", "permissions")
    op.drop_index("idx_permissions_check", "permissions")
    op.drop_index("idx_permissions_expires", "permissions")
    op.drop_index("idx_permissions_principal", "permissions")
    op.drop_index("idx_permissions_resource", "permissions")
