"""Indexes: costs, security events, insights."""

from alembic import op

revision = "2026_11_20_0900"
down_revision = "2026_11_20_0800"


def upgrade() -> None:
    op.create_index("idx_ai_insights_tenant_id", "ai_insights", ["tenant_id"])
    op.create_index("idx_ai_insights_resource_id", "ai_insights", ["resource_id"])
    op.create_index("idx_ai_insights_insight_type", "ai_insights", ["insight_type"])
    op.create_index("idx_ai_insights_severity", "ai_insights", ["severity"])
    op.create_index("idx_ai_insights_generated_at", "ai_insights", ["generated_at"])
    op.create_index("idx_cost_data_tenant_id", "cost_data", ["tenant_id"])
    op.create_index("idx_cost_data_resource_id", "cost_data", ["resource_id"])
    op.create_index("idx_cost_data_date", "cost_data", ["date"])
    op.create_index("idx_cost_data_service_name", "cost_data", ["service_name"])
    op.create_index("idx_security_events_tenant_id", "security_events", ["tenant_id"])
    op.create_index("idx_security_events_resource_id", "security_events", ["resource_id"])
    op.create_index("idx_security_events_event_type", "security_events", ["event_type"])
    op.create_index("idx_security_events_severity", "security_events", ["severity"])
    op.create_index("idx_security_events_detected_at", "security_events", ["detected_at"])
    op.create_index("idx_security_events_acknowledged_by", "security_events", ["acknowledged_by"])
    op.create_index("idx_security_events_resolved_by", "security_events", ["resolved_by"])


def downgrade() -> None:
    op.drop_index("idx_security_events_resolved_by", "security_events")
    op.drop_index("idx_security_events_acknowledged_by", "security_events")
    op.drop_index("idx_security_events_detected_at", "security_events")
    op.drop_index("idx_security_events_severity", "security_events")
    op.drop_index("idx_security_events_event_type", "security_events")
    op.drop_index("idx_security_events_resource_id", "security_events")
    op.drop_index("idx_security_events_tenant_id", "security_events")
    op.drop_index("idx_cost_data_service_name", "cost_data")
    op.drop_index("idx_cost_data_date", "cost_data")
    op.drop_index("idx_cost_data_resource_id", "cost_data")
    op.drop_index("idx_cost_data_tenant_id", "cost_data")
    op.drop_index("idx_ai_insights_generated_at", "ai_insights")
    op.drop_index("idx_ai_insights_severity", "ai_insights")
    op.drop_index("idx_ai_insights_insight_type", "ai_insights")
    op.drop_index("idx_ai_insights_resource_id", "ai_insights")
    op.drop_index("idx_ai_insights_tenant_id", "ai_insights")
