"""Indexes: users, workspaces, members."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0400"
down_revision = "2026_11_20_0300"


def upgrade() -> None:
    op.create_index("idx_workspaces_owner", "workspaces", ["owner_id"], postgresql_where=sa.text("deleted_at IS NULL"))
    op.create_index("idx_workspaces_slug", "workspaces", ["slug"], postgresql_where=sa.text("deleted_at IS NULL"))
    op.create_index("idx_workspaces_created", "workspaces", [sa.text("created_at DESC")])
    op.create_index("idx_workspaces_settings", "workspaces", ["settings"], postgresql_using="gin")
    op.create_index(
        "idx_workspaces_active",
        "workspaces",
        ["workspace_id", "created_at"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "idx_users_email_active", "users", ["email"], unique=True, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index(
        "idx_users_azure_ad", "users", ["azure_ad_oid"], postgresql_where=sa.text("azure_ad_oid IS NOT NULL")
    )
    op.create_index("idx_users_last_login", "users", [sa.text("last_login_at DESC NULLS LAST")])
    op.create_index("idx_workspace_members_workspace", "workspace_members", ["workspace_id"])
    op.create_index("idx_workspace_members_user", "workspace_members", ["user_id"])
    op.create_index("idx_workspace_members_role", "workspace_members", ["workspace_id", "role"])
    op.create_index(
        "idx_workspace_members_permission_check",
        "workspace_members",
        ["user_id", "workspace_id"],
        postgresql_include=["role"],
    )
    op.create_index("idx_workspace_members_invited_by", "workspace_members", ["invited_by"])


def downgrade() -> None:
    op.drop_index("idx_workspace_members_invited_by", "workspace_members")
    op.drop_index("idx_workspace_members_permission_check", "workspace_members")
    op.drop_index("idx_workspace_members_role", "workspace_members")
    op.drop_index("idx_workspace_members_user", "workspace_members")
    op.drop_index("idx_workspace_members_workspace", "workspace_members")
    op.drop_index("idx_users_last_login", "users")
    op.drop_index("idx_users_azure_ad", "users")
    op.drop_index("idx_users_email_active", "users")
    op.drop_index("idx_workspaces_active", "workspaces")
    op.drop_index("idx_workspaces_settings", "workspaces")
    op.drop_index("idx_workspaces_created", "workspaces")
    op.drop_index("idx_workspaces_slug", "workspaces")
    op.drop_index("idx_workspaces_owner", "workspaces")
