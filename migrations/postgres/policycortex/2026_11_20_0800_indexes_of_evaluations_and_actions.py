"""Indexes: evaluations of policies, and what followed."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0800"
down_revision = "2026_11_20_0700"


def upgrade() -> None:
    op.create_index(
        "uq_policy_evaluations_active",
        "policy_evaluations",
        ["policy_id", "resource_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'evaluating')"),
    )
    op.create_index("idx_policy_evaluations_tenant_id", "policy_evaluations", ["tenant_id"])
    op.create_index("idx_policy_evaluations_policy_id", "policy_evaluations", ["policy_id"])
    op.create_index("idx_policy_evaluations_resource_id", "policy_evaluations", ["resource_id"])
    op.create_index("idx_policy_evaluations_status", "policy_evaluations", ["status"])
    op.create_index("idx_policy_evaluations_result", "policy_evaluations", ["result"])
    op.create_index("idx_policy_evaluations_evaluated_at", "policy_evaluations", ["evaluated_at"])
    op.create_index("idx_compliance_reports_tenant_id", "compliance_reports", ["tenant_id"])
    op.create_index("idx_compliance_reports_generated_by", "compliance_reports", ["generated_by"])
    op.create_index("idx_actions_tenant_id", "actions", ["tenant_id"])
    op.create_index("idx_actions_resource_id", "actions", ["resource_id"])
    op.create_index("idx_actions_status", "actions", ["status"])
    op.create_index("idx_actions_action_type", "actions", ["action_type"])
    op.create_index("idx_actions_created_at", "actions", ["created_at"])
    op.create_index("idx_actions_policy_evaluation_id", "actions", ["policy_evaluation_id"])
    op.create_index("idx_actions_executed_by", "actions", ["executed_by"])
    op.create_index("idx_actions_approved_by", "actions", ["approved_by"])


def downgrade() -> None:
    op.drop_index("idx_actions_approved_by", "actions")
    op.drop_index("idx_actions_executed_by", "actions")
    op.drop_index("idx_actions_policy_evaluation_id", "actions")
    op.drop_index("idx_actions_created_at", "actions")
    op.drop_index("idx_actions_action_type", "actions")
    op.drop_index("idx_actions_status", "actions")
    op.drop_index("idx_actions_resource_id", "actions")
    op.drop_index("idx_actions_tenant_id", "actions")
    op.drop_index("idx_compliance_reports_generated_by", "compliance_reports")
    op.drop_index("idx_compliance_reports_tenant_id", "compliance_reports")
    op.drop_index("idx_policy_evaluations_evaluated_at", "policy_evaluations")
    op.drop_index("idx_policy_evaluations_result", "policy_evaluations")
    op.drop_index("idx_policy_evaluations_status", "policy_evaluations")
    op.drop_index("idx_policy_evaluations_resource_id", "policy_evaluations")
    op.drop_index("idx_policy_evaluations_policy_id", "policy_evaluations")
    op.drop_index("idx_policy_evaluations_tenant_id", "policy_evaluations")
    op.drop_index("uq_policy_evaluations_active", "policy_evaluations")
