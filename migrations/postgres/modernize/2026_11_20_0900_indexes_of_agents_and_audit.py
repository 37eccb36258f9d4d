"""Indexes: memory and tasks of agents, the audit log."""

from alembic import op

revision = "2026_11_20_0900"
down_revision = "2026_11_20_0800"


def upgrade() -> None:
    op.create_index("idx_agent_memory_client", "agent_memory", ["client_account_id"])
    op.create_index("idx_agent_memory_type", "agent_memory", ["agent_type", "memory_type"])
    op.create_index("idx_agent_memory_confidence", "agent_memory", ["confidence_score"])
    op.create_index("idx_agent_tasks_client", "agent_task_history", ["client_account_id"])
    op.create_index("idx_agent_tasks_flow", "agent_task_history", ["flow_id"])
    op.create_index("idx_agent_tasks_agent", "agent_task_history", ["agent_name"])
    op.create_index("idx_agent_tasks_type", "agent_task_history", ["task_type"])
    op.create_index("idx_agent_tasks_started", "agent_task_history", ["started_at"])


def downgrade() -> None:
    op.drop_index("idx_agent_tasks_started", "agent_task_history")
    op.drop_index("idx_agent_tasks_type", "agent_task_history")
    op.drop_index("idx_agent_tasks_agent", "agent_task_history")
    op.drop_index("idx_agent_tasks_flow", "agent_task_history")
    op.drop_index("idx_agent_tasks_client", "agent_task_history")
    op.drop_index("idx_agent_memory_confidence", "agent_memory")
    op.drop_index("idx_agent_memory_type", "agent_memory")
    op.drop_index("idx_agent_memory_client", "agent_memory")
