"""Resources of the cloud, and the policies for them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    attic.create_table(
        "resources",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("azure_resource_id", sa.String(500), nullable=False),
        sa.Column("subscription_id", sa.String(36), nullable=False),
        sa.Column("resource_group_name", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("type", pg.ENUM(name="resource_type", create_type=False), nullable=False),
        sa.Column("location", sa.String(100), nullable=False),
        sa.Column("properties", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("tags", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("synced_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("tag_keys", pg.ARRAY(sa.Text()), sa.Computed("jsonb_keys_array(tags)", persisted=True)),
        sa.PrimaryKeyConstraint("id", name="resources_pkey"),
        sa.UniqueConstraint("azure_resource_id", name="resources_azure_resource_id_key"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="resources_tenant_id_fkey"),
        comment="Resources of the cloud, as the last sync saw them",
    )
    attic.create_table(
        "policies",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID()),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255)),
        sa.Column("description", sa.Text()),
        sa.Column("type", pg.ENUM(name="policy_type", create_type=False), nullable=False),
        sa.Column("category", sa.String(100)),
        sa.Column(
            "severity",
            pg.ENUM(name="severity_level", create_type=False),
            server_default=sa.text("'medium'::severity_level"),
            nullable=False,
        ),
        sa.Column("definition", pg.JSONB(), nullable=False),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_by", pg.UUID()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="policies_pkey"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="policies_tenant_id_fkey"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="policies_created_by_fkey"),
        comment="What resources are judged by; without a tenant it holds for all",
    )
    attic.create_table(
        "policy_versions",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("policy_id", pg.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", pg.JSONB(), nullable=False),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("changes", sa.Text()),
        sa.Column("created_by", pg.UUID()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="policy_versions_pkey"),
        sa.UniqueConstraint("policy_id", "version", name="policy_versions_policy_id_version_key"),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name="policy_versions_policy_id_fkey"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="policy_versions_created_by_fkey"),
        comment="Each earlier definition of a policy, and why it changed",
    )


def downgrade() -> None:
    attic.store_tables("resources", "policies", "policy_versions")
