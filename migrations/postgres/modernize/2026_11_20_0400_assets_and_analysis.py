"""Assets and what is said of them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0400"
down_revision = "2026_11_20_0300"


def upgrade() -> None:
    attic.create_table(
        "assets",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False, comment="The customer whose asset it is"),
        sa.Column("engagement_id", pg.UUID(), nullable=False),
        sa.Column("asset_name", sa.String(255), nullable=False),
        sa.Column("asset_type", sa.String(100), comment="server, application, database, network"),
        sa.Column("environment", sa.String(100), comment="production, staging, development"),
        sa.Column("specifications", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("dependencies", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("configurations", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("migration_readiness", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column(
            "sixr_recommendation", sa.String(50), comment="The way that is advised: rehost, replatform, refactor ..."
        ),
        sa.Column("complexity_score", sa.Integer()),
        sa.Column("risk_score", sa.Integer()),
        sa.Column("discovered_from_import_id", pg.UUID()),
        sa.Column("discovery_flow_id", pg.UUID()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("last_analyzed", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="assets_pkey"),
        sa.ForeignKeyConstraint(
            ["engagement_id"], ["engagements.id"], name="assets_engagement_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["discovered_from_import_id"],
            ["data_imports.id"],
            name="assets_discovered_from_import_id_fkey",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["discovery_flow_id"],
            ["discovery_flows.flow_id"],
            name="assets_discovery_flow_id_fkey",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["client_account_id"], ["client_accounts.id"], name="fk_assets_client", ondelete="CASCADE"
        ),
        comment="Servers, applications, databases, networks that were found",
    )
    attic.create_table(
        "sixr_analysis",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID(), nullable=False),
        sa.Column("asset_id", pg.UUID(), nullable=False),
        sa.Column(
            "primary_recommendation",
            sa.String(50),
            nullable=False,
            comment="rehost, replatform, refactor, rearchitect, rebuild, retire",
        ),
        sa.Column("confidence_score", sa.Double(), nullable=False),
        sa.Column("alternative_options", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("analysis_criteria", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("cost_estimation", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("effort_estimation", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("risk_factors", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("rationale", sa.Text()),
        sa.Column("business_impact", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("technical_considerations", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("analyzed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("analyzed_by", sa.String(255), comment="The agent or the person that stored it"),
        sa.PrimaryKeyConstraint("id", name="sixr_analysis_pkey"),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="sixr_analysis_asset_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint(
            "confidence_score >= 0.0 AND confidence_score <= 1.0",
            name="check_confidence_score",
        ),
        comment="Which of the six ways an asset should go, and why",
    )
    attic.create_table(
        "collection_flows",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID(), nullable=False),
        sa.Column("user_id", pg.UUID(), nullable=False),
        sa.Column("flow_name", sa.String(255), nullable=False),
        sa.Column(
            "flow_type",
            sa.String(50),
            server_default=sa.text("'adaptive'"),
            comment="adaptive, bulk, integration",
        ),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'")),
        sa.Column("target_application_count", sa.Integer()),
        sa.Column("collection_method", sa.String(50), comment="How data come in: forms, bulk_upload, api_integration"),
        sa.Column("applications_identified", sa.Integer(), server_default=sa.text("0")),
        sa.Column("applications_completed", sa.Integer(), server_default=sa.text("0")),
        sa.Column("data_quality_score", sa.Double(), server_default=sa.text("0.0")),
        sa.Column("application_catalog", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("collection_metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="collection_flows_pkey"),
        sa.ForeignKeyConstraint(
            ["client_account_id"],
            ["client_accounts.id"],
            name="collection_flows_client_account_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["engagement_id"], ["engagements.id"], name="collection_flows_engagement_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="collection_flows_user_id_fkey"),
        comment="Collection of what discovery did not find",
    )
    attic.create_table(
        "assessment_flows",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("flow_id", pg.UUID(), nullable=False),
        sa.Column("master_flow_id", pg.UUID()),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("flow_name", sa.String(255), nullable=False),
        sa.Column(
            "assessment_type",
            sa.String(50),
            server_default=sa.text("'comprehensive'"),
            comment="How deep it looks: quick, comprehensive, targeted",
        ),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'")),
        sa.Column("asset_scope", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("assessment_criteria", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("assessment_results", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("recommendations", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("risk_assessment", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="assessment_flows_pkey"),
        sa.UniqueConstraint("flow_id", name="assessment_flows_flow_id_key"),
        sa.ForeignKeyConstraint(
            ["master_flow_id"],
            ["crewai_flow_state_extensions.flow_id"],
            name="assessment_flows_master_flow_id_fkey",
            ondelete="CASCADE",
        ),
        comment="Assessment of assets for their migration",
    )


def downgrade() -> None:
    attic.store_tables("assets", "sixr_analysis", "collection_flows", "assessment_flows")
