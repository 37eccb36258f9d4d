"""Costs, security events, insights."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0500"
down_revision = "2026_11_20_0400"


def upgrade() -> None:
    attic.create_table(
        "cost_data",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("resource_id", pg.UUID()),
        sa.Column("subscription_id", sa.String(36), nullable=False),
        sa.Column("resource_group_name", sa.String(255)),
        sa.Column("service_name", sa.String(255), nullable=False),
        sa.Column("cost_center", sa.String(100)),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(3), server_default=sa.text("'USD'"), nullable=False),
        sa.Column("cost", sa.Numeric(15, 4), nullable=False),
        sa.Column("usage_quantity", sa.Numeric(15, 4)),
        sa.Column("usage_unit", sa.String(50)),
        sa.Column("billing_period", sa.String(20)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", "date", name="cost_data_pkey"),
        sa.UniqueConstraint("resource_id", "date", "service_name", name="cost_data_resource_id_date_service_name_key"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="cost_data_tenant_id_fkey"),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name="cost_data_resource_id_fkey"),
        comment="What resources cost by day; partitions by month",
        postgresql_partition_by="RANGE (date)",
    )
    attic.create_table(
        "security_events",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("resource_id", pg.UUID()),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("severity", pg.ENUM(name="severity_level", create_type=False), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("source", sa.String(100)),
        sa.Column("event_data", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("detected_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("acknowledged", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("acknowledged_by", pg.UUID()),
        sa.Column("acknowledged_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("resolved", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("resolved_by", pg.UUID()),
        sa.Column("resolved_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="security_events_pkey"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="security_events_tenant_id_fkey"),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name="security_events_resource_id_fkey"),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["users.id"], name="security_events_acknowledged_by_fkey"),
        sa.ForeignKeyConstraint(["resolved_by"], ["users.id"], name="security_events_resolved_by_fkey"),
        comment="Security events, from detection to resolution",
    )
    attic.create_table(
        "ai_insights",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("resource_id", pg.UUID(), nullable=False),
        sa.Column("insight_type", sa.String(100), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("severity", pg.ENUM(name="severity_level", create_type=False), nullable=False),
        sa.Column("confidence", sa.Numeric(3, 2)),
        sa.Column("data", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("recommendations", pg.ARRAY(sa.Text())),
        sa.Column("generated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="ai_insights_pkey"),
        sa.UniqueConstraint(
            "resource_id", "insight_type", "generated_at", name="ai_insights_resource_id_insight_type_generated_at_key"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="ai_insights_tenant_id_fkey"),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name="ai_insights_resource_id_fkey"),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name="ai_insights_confidence_check"),
        comment="What the models found, with their confidence",
    )


def downgrade() -> None:
    attic.store_tables("cost_data", "security_events", "ai_insights")
