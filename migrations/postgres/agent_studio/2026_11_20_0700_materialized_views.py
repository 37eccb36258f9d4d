"""Materialized views, each with the unique index that a concurrent refresh needs."""

from alembic import op

from dbops.operations.migrate import objects

revision = "2026_11_20_0700"
down_revision = "2026_11_20_0600"

WORKSPACE_STATS = """SELECT
    w.workspace_id,
    w.name AS workspace_name,
    COALESCE(a.total_agents, 0) AS total_agents,
    COALESCE(wm.total_members, 0) AS total_members,
    a.total_executions,
    a.total_tokens,
    a.avg_latency_ms,
    a.last_activity_at,
    w.created_at
FROM workspaces w
LEFT JOIN (
    SELECT
        workspace_id,
        COUNT(*) AS total_agents,
        SUM(total_executions) AS total_executions,
        SUM(total_tokens_used) AS total_tokens,
        AVG(avg_latency_ms) AS avg_latency_ms,
        MAX(last_executed_at) AS last_activity_at
    FROM agents
    WHERE deleted_at IS NULL
    GROUP BY workspace_id
) a ON w.workspace_id = a.workspace_id
LEFT JOIN (
    SELECT workspace_id, COUNT(*) AS total_members
    FROM workspace_members
    GROUP BY workspace_id
) wm ON w.workspace_id = wm.workspace_id
WHERE w.deleted_at IS NULL"""

AGENT_PERFORMANCE = """SELECT
    a.agent_id,
    a.name,
    a.agent_type,
    a.total_executions,
    a.total_tokens_used,
    a.avg_latency_ms,
    a.last_executed_at,
    COUNT(DISTINCT at.tool_id) AS tool_count,
    w.workspace_id,
    w.name AS workspace_name
FROM agents a
JOIN workspaces w ON a.workspace_id = w.workspace_id
LEFT JOIN agent_tools at ON a.agent_id = at.agent_id AND at.is_enabled = true
WHERE a.deleted_at IS NULL AND w.deleted_at IS NULL
GROUP BY a.agent_id, a.name, a.agent_type, a.total_executions,
         a.total_tokens_used, a.avg_latency_ms, a.last_executed_at,
         w.workspace_id, w.name"""


def upgrade() -> None:
    objects.create_materialized_view("workspace_stats", WORKSPACE_STATS)
    objects.create_materialized_view("agent_performance", AGENT_PERFORMANCE)
    op.create_index("idx_workspace_stats_workspace_id", "workspace_stats", ["workspace_id"], unique=True)
    op.create_index("idx_agent_performance_agent_id", "agent_performance", ["agent_id"], unique=True)
    op.create_index("idx_agent_performance_workspace", "agent_performance", ["workspace_id"])


def downgrade() -> None:
    objects.drop_materialized_views("workspace_stats", "agent_performance")
