"""Flows and imports."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    attic.create_table(
        "crewai_flow_state_extensions",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("flow_id", pg.UUID(), nullable=False, comment="The flow's own id; every other table refers to it"),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("flow_type", sa.String(50), nullable=False, comment="discovery, collection, assessment"),
        sa.Column("flow_name", sa.String(255), nullable=False),
        sa.Column("flow_version", sa.String(20), server_default=sa.text("'1.0'")),
        sa.Column(
            "flow_status",
            sa.String(50),
            server_default=sa.text("'initialized'"),
            comment="initialized, running, paused, completed, failed",
        ),
        sa.Column("current_phase", sa.String(100)),
        sa.Column("progress_percentage", sa.Integer(), server_default=sa.text("0")),
        sa.Column("flow_config", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("agent_config", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("performance_metrics", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("execution_stats", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("error_details", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("flow_persistence_data", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("checkpoint_data", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("phase_transitions", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("started_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="crewai_flow_state_extensions_pkey"),
        sa.UniqueConstraint("flow_id", name="flow_id_unique"),
        comment="The state of each flow: the one place that says where it stands",
    )
    attic.create_table(
        "data_imports",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID(), nullable=False),
        sa.Column("filename", sa.String(500), nullable=False),
        sa.Column("file_size_bytes", sa.BigInteger()),
        sa.Column("file_type", sa.String(50)),
        sa.Column("upload_status", sa.String(50), server_default=sa.text("'pending'")),
        sa.Column("total_rows", sa.Integer()),
        sa.Column("valid_rows", sa.Integer()),
        sa.Column("invalid_rows", sa.Integer()),
        sa.Column("columns_detected", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("file_path", sa.Text()),
        sa.Column("processed_data", pg.JSONB()),
        sa.Column("validation_errors", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("uploaded_by", pg.UUID()),
        sa.PrimaryKeyConstraint("id", name="data_imports_pkey"),
        sa.ForeignKeyConstraint(
            ["client_account_id"],
            ["client_accounts.id"],
            name="data_imports_client_account_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["engagement_id"], ["engagements.id"], name="data_imports_engagement_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["uploaded_by"], ["users.id"], name="data_imports_uploaded_by_fkey"),
        comment="Files that were uploaded, and what was read from them",
    )
    attic.create_table(
        "discovery_flows",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("flow_id", pg.UUID(), nullable=False, comment="The flow, as crewai_flow_state_extensions knows it"),
        sa.Column("master_flow_id", pg.UUID(), comment="The flow that it is a part of"),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("data_import_id", pg.UUID()),
        sa.Column("flow_name", sa.String(255), nullable=False),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'"), comment="What people are shown"),
        sa.Column("current_phase", sa.String(100), server_default=sa.text("'data_import'")),
        sa.Column("progress_percentage", sa.Integer(), server_default=sa.text("0")),
        sa.Column("data_import_completed", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("field_mapping_completed", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("data_cleansing_completed", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("asset_inventory_completed", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("dependency_analysis_completed", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("tech_debt_completed", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("analysis_results", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("field_mappings", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("data_quality_metrics", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("crewai_state_data", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("last_phase_update", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="discovery_flows_pkey"),
        sa.UniqueConstraint("flow_id", name="discovery_flows_flow_id_unique"),
        sa.ForeignKeyConstraint(
            ["data_import_id"], ["data_imports.id"], name="discovery_flows_data_import_id_fkey", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["master_flow_id"],
            ["crewai_flow_state_extensions.flow_id"],
            name="fk_discovery_master_flow",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'completed', 'failed', 'cancelled')", name="check_discovery_status"
        ),
        sa.CheckConstraint("progress_percentage >= 0 AND progress_percentage <= 100", name="check_progress_percentage"),
        comment="Discovery of assets, phase by phase",
    )


def downgrade() -> None:
    attic.store_tables("crewai_flow_state_extensions", "data_imports", "discovery_flows")
