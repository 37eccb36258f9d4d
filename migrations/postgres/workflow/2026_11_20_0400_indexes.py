"""Indexes."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0400"
down_revision = "2026_11_20_0300"


def upgrade() -> None:
    op.create_index("idx_workflows_status", "workflows", ["status"])
    op.create_index("idx_workflows_created_by", "workflows", ["created_by"])
    op.create_index(
        "idx_workflows_active",
        "workflows",
        [sa.text("created_at DESC")],
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index("idx_workflows_definition_gin", "workflows", ["definition"], postgresql_using="gin")
    op.create_index("idx_workflow_instances_workflow_id", "workflow_instances", ["workflow_id"])
    op.create_index("idx_workflow_instances_state", "workflow_instances", ["state"])
    op.create_index("idx_workflow_instances_created_by", "workflow_instances", ["created_by"])
    op.create_index("idx_workflow_instances_started_at", "workflow_instances", [sa.text("started_at DESC")])
    op.create_index("idx_tasks_instance_id", "tasks", ["instance_id"])
    op.create_index("idx_tasks_status", "tasks", ["status"])
    op.create_index("idx_tasks_started_at", "tasks", [sa.text("started_at DESC")])
    op.create_index("idx_saga_compensations_instance_id", "saga_compensations", ["instance_id"])
    op.create_index("idx_saga_compensations_task_id", "saga_compensations", ["task_id"])


def downgrade() -> None:
    op.drop_index("idx_saga_compensations_task_id", "saga_compensations")
    op.drop_index("idx_saga_compensations_instance_id", "saga_compensations")
    op.drop_index("idx_tasks_started_at", "tasks")
    op.drop_index("idx_tasks_status", "tasks")
    op.drop_index("idx_tasks_instance_id", "tasks")
    op.drop_index("idx_workflow_instances_started_at", "workflow_instances")
    op.drop_index("idx_workflow_instances_created_by", "workflow_instances")
    op.drop_index("idx_workflow_instances_state", "workflow_instances")
    op.drop_index("idx_workflow_instances_workflow_id", "workflow_instances")
    op.drop_index("idx_workflows_definition_gin", "workflows")
    op.drop_index("idx_workflows_active", "workflows")
    op.drop_index("idx_workflows_created_by", "workflows")
    op.drop_index("idx_workflows_status", "workflows")
