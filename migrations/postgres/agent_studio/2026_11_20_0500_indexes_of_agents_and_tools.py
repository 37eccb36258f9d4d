"""Indexes: agents, tools, and the read model of workflows."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0500"
down_revision = "2026_11_20_0400"


def upgrade() -> None:
    op.create_index("idx_agents_workspace", "agents", ["workspace_id"], postgresql_where=sa.text("deleted_at IS NULL"))
    op.create_index(
        "idx_agents_type", "agents", ["workspace_id", "agent_type"], postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index(
        "idx_agents_published",
        "agents",
        ["workspace_id", "is_published"],
        postgresql_where=sa.text("(deleted_at IS NULL) AND (is_published = true)"),
    )
    op.create_index("idx_agents_executions", "agents", [sa.text("total_executions DESC")])
    op.create_index("idx_agents_last_executed", "agents", [sa.text("last_executed_at DESC NULLS LAST")])
    op.create_index("idx_agents_tags", "agents", ["tags"], postgresql_using="gin")
    op.create_index("idx_agents_created_by", "agents", ["created_by"])
    op.create_index("idx_tools_workspace", "tools", ["workspace_id"], postgresql_where=sa.text("deleted_at IS NULL"))
    op.create_index("idx_tools_category", "tools", ["category"], postgresql_where=sa.text("is_active = true"))
    op.create_index("idx_tools_builtin", "tools", ["is_builtin"], postgresql_where=sa.text("is_builtin = true"))
    op.create_index("idx_tools_invocations", "tools", [sa.text("total_invocations DESC")])
    op.create_index("idx_tools_schema", "tools", ["tool_schema"], postgresql_using="gin")
    op.create_index("idx_tools_created_by", "tools", ["created_by"])
    op.create_index("idx_agent_tools_agent", "agent_tools", ["agent_id"], postgresql_where=sa.text("is_enabled = true"))
    op.create_index("idx_agent_tools_tool", "agent_tools", ["tool_id"])
    op.create_index("idx_agent_tools_order", "agent_tools", ["agent_id", "execution_order"])
    op.create_index(
        "idx_workflows_active_covering",
        "workflows",
        ["workspace_id", "status", sa.text("created_at DESC")],
        postgresql_include=["execution_id", "agent_id"],
        postgresql_where=sa.text("(deleted_at IS NULL) AND status IN ('pending', 'running')"),
    )
    op.create_index("idx_workflows_agent_id", "workflows", ["agent_id"])


def downgrade() -> None:
    op.drop_index("idx_workflows_agent_id", "workflows")
    op.drop_index("idx_workflows_active_covering", "workflows")
    op.drop_index("idx_agent_tools_order", "agent_tools")
    op.drop_index("idx_agent_tools_tool", "agent_tools")
    op.drop_index("idx_agent_tools_agent", "agent_tools")
    op.drop_index("idx_tools_created_by", "tools")
    op.drop_index("idx_tools_schema", "tools")
    op.drop_index("idx_tools_invocations", "tools")
    op.drop_index("idx_tools_builtin", "tools")
    op.drop_index("idx_tools_category", "tools")
    op.drop_index("idx_tools_workspace", "tools")
    op.drop_index("idx_agents_created_by", "agents")
    op.drop_index("idx_agents_tags", "agents")
    op.drop_index("idx_agents_last_executed", "agents")
    op.drop_index("idx_agents_executions", "agents")
    op.drop_index("idx_agents_published", "agents")
    op.drop_index("idx_agents_type", "agents")
    op.drop_index("idx_agents_workspace", "agents")
