"""Indexes: flows and imports."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0700"
down_revision = "2026_11_20_0600"


def upgrade() -> None:
    op.create_index("idx_flow_extensions_client", "crewai_flow_state_extensions", ["client_account_id"])
    op.create_index("idx_flow_extensions_engagement", "crewai_flow_state_extensions", ["engagement_id"])
    op.create_index("idx_flow_extensions_type", "crewai_flow_state_extensions", ["flow_type"])
    op.create_index("idx_flow_extensions_status", "crewai_flow_state_extensions", ["flow_status"])
    op.create_index("idx_flow_config_gin", "crewai_flow_state_extensions", ["flow_config"], postgresql_using="gin")
    op.create_index("idx_data_imports_client", "data_imports", ["client_account_id"])
    op.create_index("idx_data_imports_engagement", "data_imports", ["engagement_id"])
    op.create_index("idx_data_imports_status", "data_imports", ["upload_status"])
    op.create_index("idx_data_imports_uploaded_by", "data_imports", ["uploaded_by"])
    op.create_index("idx_discovery_flows_master", "discovery_flows", ["master_flow_id"])
    op.create_index("idx_discovery_flows_client", "discovery_flows", ["client_account_id"])
    op.create_index("idx_discovery_flows_engagement", "discovery_flows", ["engagement_id"])
    op.create_index("idx_discovery_flows_status", "discovery_flows", ["status"])
    op.create_index("idx_discovery_flows_phase", "discovery_flows", ["current_phase"])
    op.create_index(
        "idx_discovery_flows_tenant_status", "discovery_flows", ["client_account_id", "engagement_id", "status"]
    )
    op.create_index(
        "idx_active_discovery_flows",
        "discovery_flows",
        ["client_account_id", "engagement_id"],
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index("idx_discovery_flows_data_import_id", "discovery_flows", ["data_import_id"])


def downgrade() -> None:
    op.drop_index("idx_discovery_flows_data_import_id", "discovery_flows")
    op.drop_index("idx_active_discovery_flows", "discovery_flows")
    op.drop_index("idx_discovery_flows_tenant_status", "discovery_flows")
    op.drop_index("idx_discovery_flows_phase", "discovery_flows")
    op.drop_index("idx_discovery_flows_status", "discovery_flows")
    op.drop_index("idx_discovery_flows_engagement", "discovery_flows")
    op.drop_index("idx_discovery_flows_client", "discovery_flows")
    op.drop_index("idx_discovery_flows_master", "discovery_flows")
    op.drop_index("idx_data_imports_uploaded_by", "data_imports")
    op.drop_index("idx_data_imports_status", "data_imports")
    op.drop_index("idx_data_imports_engagement", "data_imports")
    op.drop_index("idx_data_imports_client", "data_imports")
    op.drop_index("idx_flow_config_gin", "crewai_flow_state_extensions")
    op.drop_index("idx_flow_extensions_status", "crewai_flow_state_extensions")
    op.drop_index("idx_flow_extensions_type", "crewai_flow_state_extensions")
    op.drop_index("idx_flow_extensions_engagement", "crewai_flow_state_extensions")
    op.drop_index("idx_flow_extensions_client", "crewai_flow_state_extensions")
