"""Indexes."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0400"
down_revision = "2026_11_20_0300"


def upgrade() -> None:
    op.create_index("idx_audit_events_actor", "audit_events", ["actor_id", sa.text('"timestamp" DESC')])
    op.create_index(
        "idx_audit_events_resource", "audit_events", ["resource_type", "resource_id", sa.text('"timestamp" DESC')]
    )
    op.create_index("idx_audit_events_event_type", "audit_events", ["event_type", sa.text('"timestamp" DESC')])
    op.create_index(
        "idx_audit_events_trace_id", "audit_events", ["trace_id"], postgresql_where=sa.text("trace_id IS NOT NULL")
    )
    op.create_index("idx_compliance_reports_type", "compliance_reports", ["report_type"])
    op.create_index("idx_compliance_reports_generated_at", "compliance_reports", [sa.text("generated_at DESC")])


def downgrade() -> None:
    op.drop_index("idx_compliance_reports_generated_at", "compliance_reports")
    op.drop_index("idx_compliance_reports_type", "compliance_reports")
    op.drop_index("idx_audit_events_trace_id", "audit_events")
    op.drop_index("idx_audit_events_event_type", "audit_events")
    op.drop_index("idx_audit_events_resource", "audit_events")
    op.drop_index("idx_audit_events_actor", "audit_events")
