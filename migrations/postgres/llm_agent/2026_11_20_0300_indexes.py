"""Indexes."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    op.create_index("idx_agents_status", "agents", ["status"])
    op.create_index("idx_agents_created_by", "agents", ["created_by"])
    op.create_index("idx_agents_provider", "agents", ["provider"])
    op.create_index("idx_executions_agent_id", "executions", ["agent_id"])
    op.create_index("idx_executions_status", "executions", ["status"])
    op.create_index("idx_executions_executed_at", "executions", [sa.text("executed_at DESC")])
    op.create_index(
        "idx_executions_agent_status_date", "executions", ["agent_id", "status", sa.text("executed_at DESC")]
    )
    op.create_index("idx_contexts_agent_id", "contexts", ["agent_id"])
    op.create_index("idx_token_usage_agent_id", "token_usage", ["agent_id"])
    op.create_index("idx_token_usage_recorded_at", "token_usage", [sa.text("recorded_at DESC")])
    op.create_index("idx_token_usage_execution_id", "token_usage", ["execution_id"])


def downgrade() -> None:
    op.drop_index("idx_token_usage_execution_id", "token_usage")
    op.drop_index("idx_token_usage_recorded_at", "token_usage")
    op.drop_index("idx_token_usage_agent_id", "token_usage")
    op.drop_index("idx_contexts_agent_id", "contexts")
    op.drop_index("idx_executions_agent_status_date", "executions")
    op.drop_index("idx_executions_executed_at", "executions")
    op.drop_index("idx_executions_status", "executions")
    op.drop_index("idx_executions_agent_id", "executions")
    op.drop_index("idx_agents_provider", "agents")
    op.drop_index("idx_agents_created_by", "agents")
    op.drop_index("idx_agents_status", "agents")
