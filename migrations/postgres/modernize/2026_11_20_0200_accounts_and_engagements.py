"""Client accounts, users, engagements."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic, objects

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "client_accounts",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("slug", sa.String(100), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("industry", sa.String(100)),
        sa.Column("company_size", sa.String(50)),
        sa.Column("subscription_tier", sa.String(50), server_default=sa.text("'standard'")),
        sa.Column("max_users", sa.Integer()),
        sa.Column("max_engagements", sa.Integer()),
        sa.Column("storage_quota_gb", sa.Integer()),
        sa.Column("api_quota_monthly", sa.Integer()),
        sa.Column("settings", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("features_enabled", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("agent_configuration", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("branding", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column(
            "business_objectives",
            pg.JSONB(),
            server_default=objects.document(
                {"timeframe": "", "constraints": [], "primary_goals": [], "success_metrics": []}
            ),
        ),
        sa.Column(
            "agent_preferences",
            pg.JSONB(),
            server_default=objects.document(
                {
                    "risk_tolerance": "moderate",
                    "discovery_depth": "comprehensive",
                    "automation_level": "assisted",
                    "preferred_clouds": [],
                    "compliance_requirements": [],
                }
            ),
        ),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("created_by", pg.UUID()),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true")),
        sa.PrimaryKeyConstraint("id", name="client_accounts_pkey"),
        sa.UniqueConstraint("slug", name="client_accounts_slug_unique"),
        comment="The tenants: customers with their goals and settings",
    )
    attic.create_table(
        "users",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email", sa.LargeBinary(), nullable=False, comment="Encrypted by pgp_sym_encrypt()"),
        sa.Column(
            "email_hash",
            sa.String(64),
            nullable=False,
            comment="HMAC of the address in small letters: finds it, and keeps it unique",
        ),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("first_name", sa.String(100)),
        sa.Column("last_name", sa.String(100)),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true")),
        sa.Column("is_verified", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("default_client_id", pg.UUID()),
        sa.Column("default_engagement_id", pg.UUID()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("last_login", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email_hash", name="users_email_unique"),
        sa.ForeignKeyConstraint(
            ["default_client_id"], ["client_accounts.id"], name="users_default_client_id_fkey", ondelete="SET NULL"
        ),
        comment="People; their addresses are encrypted, and found by a keyed hash",
    )
    attic.create_table(
        "engagements",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("slug", sa.String(100), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("engagement_type", sa.String(50), server_default=sa.text("'migration'")),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'")),
        sa.Column("priority", sa.String(20), server_default=sa.text("'medium'")),
        sa.Column("start_date", sa.TIMESTAMP(timezone=True)),
        sa.Column("target_completion_date", sa.TIMESTAMP(timezone=True)),
        sa.Column("actual_completion_date", sa.TIMESTAMP(timezone=True)),
        sa.Column("engagement_lead_id", pg.UUID()),
        sa.Column("client_contact_name", sa.String(255)),
        sa.Column("client_contact_email", sa.String(255)),
        sa.Column("settings", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column(
            "migration_scope",
            pg.JSONB(),
            server_default=objects.document(
                {
                    "target_clouds": [],
                    "business_units": [],
                    "excluded_systems": [],
                    "geographic_scope": [],
                    "migration_strategies": [],
                    "included_environments": [],
                }
            ),
        ),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("created_by", pg.UUID()),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true")),
        sa.PrimaryKeyConstraint("id", name="engagements_pkey"),
        sa.ForeignKeyConstraint(
            ["client_account_id"], ["client_accounts.id"], name="engagements_client_account_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["engagement_lead_id"], ["users.id"], name="engagements_engagement_lead_id_fkey"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="engagements_created_by_fkey"),
        comment="A project for a customer: scope, team, time",
    )
    attic.create_table(
        "user_account_associations",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", pg.UUID(), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("role", sa.String(50), server_default=sa.text("'member'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("created_by", pg.UUID()),
        sa.PrimaryKeyConstraint("id", name="user_account_associations_pkey"),
        sa.UniqueConstraint("user_id", "client_account_id", name="user_client_unique"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="user_account_associations_user_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["client_account_id"],
            ["client_accounts.id"],
            name="user_account_associations_client_account_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="user_account_associations_created_by_fkey"),
        comment="Who works for which customer, and as what",
    )
    op.create_foreign_key(
        "users_default_engagement_id_fkey",
        "users",
        "engagements",
        ["default_engagement_id"],
        ["id"],
        ondelete="SET NULL",
    )


def downgrade() -> None:
    op.drop_constraint("users_default_engagement_id_fkey", "users", type_="foreignkey")
    attic.store_tables("client_accounts", "users", "engagements", "user_account_associations")
