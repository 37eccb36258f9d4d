"""Users and workspaces as two documents of the platform tell them, for the changes that follow."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic, objects

revision = "2026_11_21_0100"
down_revision = None

ME = "NULLIF(current_setting('app.current_user_id', true), '')::uuid"


def upgrade() -> None:
    objects.create_extensions("pg_stat_statements")  # tells whether anybody still uses what a change wants to drop
    attic.create_table(
        "users",
        sa.Column("user_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email", sa.Text(), comment="Empty for people who sign in by their organisation"),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
        comment="People",
    )
    attic.create_table(
        "workspaces",
        sa.Column("workspace_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("owner_id", pg.UUID(), nullable=False),
        sa.Column("tier", sa.Text(), server_default=sa.text("'free'"), nullable=False),
        sa.Column("settings", pg.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name="workspaces_pkey"),
        sa.UniqueConstraint("slug", name="workspaces_slug_key"),
        sa.CheckConstraint("slug ~ '^[a-z0-9-]+$'", name="workspace_slug_valid"),
        sa.CheckConstraint("tier IN ('free', 'pro', 'enterprise')", name="workspace_tier_valid"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.user_id"], name="workspaces_owner_id_fkey"),
        sa.Index("workspaces_owner_id", "owner_id"),
        comment="What people work in",
    )
    attic.create_table(
        "workspace_members",
        sa.Column("workspace_id", pg.UUID(), nullable=False),
        sa.Column("user_id", pg.UUID(), nullable=False),
        sa.Column("role", sa.Text(), server_default=sa.text("'member'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name="workspace_members_pkey"),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="workspace_member_role_valid"),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            name="workspace_members_workspace_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="workspace_members_user_id_fkey", ondelete="CASCADE"
        ),
        sa.Index("workspace_members_user_id", "user_id"),
        comment="Who belongs to a workspace, and as what",
    )
    objects.enable_row_security("workspaces", "workspace_members")
    objects.create_policy("workspaces_of_owner", "workspaces", using=f"owner_id = {ME}")
    objects.create_policy("workspace_members_of_user", "workspace_members", using=f"user_id = {ME}")
    objects.create_view(
        "workspace_owners",
        "SELECT w.workspace_id, w.name, u.display_name AS owner\n"
        "FROM workspaces w\nJOIN users u ON u.user_id = w.owner_id",
        options="security_invoker = true",
    )


def downgrade() -> None:
    objects.drop_views("workspace_owners")
    objects.drop_policy("workspace_members_of_user", "workspace_members")
    objects.drop_policy("workspaces_of_owner", "workspaces")
    objects.disable_row_security("workspaces", "workspace_members")
    attic.store_tables("users", "workspaces", "workspace_members")
