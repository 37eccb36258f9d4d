"""Tenants and their users."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "tenants",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255)),
        sa.Column("azure_tenant_id", sa.String(36)),
        sa.Column("subscription_ids", pg.ARRAY(sa.Text()), comment="Ids of the Azure subscriptions"),
        sa.Column("settings", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="tenants_pkey"),
        sa.UniqueConstraint("azure_tenant_id", name="tenants_azure_tenant_id_key"),
        comment="A customer with its Azure tenant and subscriptions",
    )
    attic.create_table(
        "users",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255)),
        sa.Column("azure_object_id", sa.String(36)),
        sa.Column("role", sa.String(100), server_default=sa.text("'user'"), nullable=False),
        sa.Column("permissions", pg.ARRAY(sa.Text()), server_default=sa.text("'{}'")),
        sa.Column("attributes", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("last_login_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
        sa.UniqueConstraint("azure_object_id", name="users_azure_object_id_key"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="users_tenant_id_fkey"),
        comment="People of a tenant, known by their Azure AD object",
    )


def downgrade() -> None:
    attic.store_tables("tenants", "users")
