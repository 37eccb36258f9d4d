"""Users, workspaces, members."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0100"
down_revision = None


def upgrade() -> None:
    attic.create_table(
        "users",
        sa.Column("user_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("avatar_url", sa.Text()),
        sa.Column("azure_ad_oid", pg.UUID(), comment="Object id in Azure AD"),
        sa.Column("auth_provider", sa.String(50), server_default=sa.text("'azure_ad'"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("email_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("last_login_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("preferences", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.PrimaryKeyConstraint("user_id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
        sa.UniqueConstraint("azure_ad_oid", name="users_azure_ad_oid_key"),
        sa.CheckConstraint("email ~* '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}$'", name="user_email_valid"),
        comment="People, known by their Azure AD object",
    )
    attic.create_table(
        "workspaces",
        sa.Column("workspace_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("slug", sa.String(100), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("owner_id", pg.UUID(), nullable=False),
        sa.Column(
            "tier",
            sa.String(50),
            server_default=sa.text("'free'"),
            nullable=False,
            comment="What was paid for: free, pro, enterprise",
        ),
        sa.Column("settings", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("data_region", sa.String(50), server_default=sa.text("'us-east-1'"), nullable=False),
        sa.Column("retention_days", sa.Integer(), server_default=sa.text("90"), nullable=False),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True), comment="Set when the person asked to be forgotten"),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.PrimaryKeyConstraint("workspace_id", name="workspaces_pkey"),
        sa.UniqueConstraint("slug", name="workspaces_slug_key"),
        sa.CheckConstraint("slug ~ '^[a-z0-9-]+$'", name="workspace_slug_valid"),
        sa.CheckConstraint("tier IN ('free', 'pro', 'enterprise')", name="workspace_tier_valid"),
        comment="The tenants: each owns agents, tools and workflows",
    )
    attic.create_table(
        "workspace_members",
        sa.Column("workspace_member_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("workspace_id", pg.UUID(), nullable=False),
        sa.Column("user_id", pg.UUID(), nullable=False),
        sa.Column(
            "role",
            sa.String(50),
            server_default=sa.text("'member'"),
            nullable=False,
            comment="owner, admin, member, viewer",
        ),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("invited_by", pg.UUID()),
        sa.PrimaryKeyConstraint("workspace_member_id", name="workspace_members_pkey"),
        sa.UniqueConstraint("workspace_id", "user_id", name="workspace_members_unique"),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            name="workspace_members_workspace_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="workspace_members_user_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["invited_by"], ["users.user_id"], name="workspace_members_invited_by_fkey"),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="workspace_member_role_valid"),
        comment="Who belongs to a workspace, and as what",
    )


def downgrade() -> None:
    attic.store_tables("users", "workspaces", "workspace_members")
