"""Indexes: assets and what is said of them."""

from alembic import op

revision = "2026_11_20_0800"
down_revision = "2026_11_20_0700"


def upgrade() -> None:
    op.create_index("idx_assets_client", "assets", ["client_account_id"])
    op.create_index("idx_assets_engagement", "assets", ["engagement_id"])
    op.create_index("idx_assets_type", "assets", ["asset_type"])
    op.create_index("idx_assets_environment", "assets", ["environment"])
    op.create_index("idx_assets_sixr", "assets", ["sixr_recommendation"])
    op.create_index("idx_assets_discovery", "assets", ["discovery_flow_id"])
    op.create_index("idx_assets_tenant_type", "assets", ["client_account_id", "engagement_id", "asset_type"])
    op.create_index("idx_assets_specifications_gin", "assets", ["specifications"], postgresql_using="gin")
    op.create_index("idx_assets_discovered_from_import_id", "assets", ["discovered_from_import_id"])
    op.create_index("idx_collection_flows_client", "collection_flows", ["client_account_id"])
    op.create_index("idx_collection_flows_engagement", "collection_flows", ["engagement_id"])
    op.create_index("idx_collection_flows_status", "collection_flows", ["status"])
    op.create_index("idx_collection_flows_user_id", "collection_flows", ["user_id"])
    op.create_index("idx_assessment_flows_master_flow_id", "assessment_flows", ["master_flow_id"])
    op.create_index("idx_sixr_analysis_asset", "sixr_analysis", ["asset_id"])
    op.create_index("idx_sixr_analysis_recommendation", "sixr_analysis", ["primary_recommendation"])
    op.create_index("idx_sixr_analysis_confidence", "sixr_analysis", ["confidence_score"])


def downgrade() -> None:
    op.drop_index("idx_sixr_analysis_confidence", "sixr_analysis")
    op.drop_index("idx_sixr_analysis_recommendation", "sixr_analysis")
    op.drop_index("idx_sixr_analysis_asset", "sixr_analysis")
    op.drop_index("idx_assessment_flows_master_flow_id", "assessment_flows")
    op.drop_index("idx_collection_flows_user_id", "collection_flows")
    op.drop_index("idx_collection_flows_status", "collection_flows")
    op.drop_index("idx_collection_flows_engagement", "collection_flows")
    op.drop_index("idx_collection_flows_client", "collection_flows")
    op.drop_index("idx_assets_discovered_from_import_id", "assets")
    op.drop_index("idx_assets_specifications_gin", "assets")
    op.drop_index("idx_assets_tenant_type", "assets")
    op.drop_index("idx_assets_discovery", "assets")
    op.drop_index("idx_assets_sixr", "assets")
    op.drop_index("idx_assets_environment", "assets")
    op.drop_index("idx_assets_type", "assets")
    op.drop_index("idx_assets_engagement", "assets")
    op.drop_index("idx_assets_client", "assets")
