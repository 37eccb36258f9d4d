"""Agents, tools, and the read model of workflows."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "agents",
        sa.Column("agent_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("workspace_id", pg.UUID(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column(
            "agent_type",
            sa.String(100),
            nullable=False,
            comment="How its agents work together: sequential, concurrent, group_chat, handoff",
        ),
        sa.Column("config_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("config_hash", sa.String(64), comment="SHA-256 of the configuration in Cosmos DB"),
        sa.Column(
            "model_provider",
            sa.String(50),
            server_default=sa.text("'azure_openai'"),
            nullable=False,
            comment="Who runs the model: azure_openai, openai, anthropic",
        ),
        sa.Column("model_name", sa.String(100), server_default=sa.text("'gpt-4'"), nullable=False),
        sa.Column("temperature", sa.Numeric(3, 2), server_default=sa.text("0.7")),
        sa.Column("max_tokens", sa.Integer(), server_default=sa.text("4000")),
        sa.Column("is_published", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("total_executions", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_tokens_used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("avg_latency_ms", sa.Numeric(10, 2)),
        sa.Column("last_executed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("created_by", pg.UUID(), nullable=False),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("tags", pg.ARRAY(sa.Text()), server_default=sa.text("'{}'")),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.PrimaryKeyConstraint("agent_id", name="agents_pkey"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], name="agents_workspace_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.user_id"], name="agents_created_by_fkey"),
        sa.CheckConstraint("temperature >= 0 AND temperature <= 2", name="agent_temperature_valid"),
        sa.CheckConstraint("max_tokens > 0 AND max_tokens <= 128000", name="agent_max_tokens_valid"),
        comment="Agents; their full configuration is a document in Cosmos DB",
    )
    attic.create_table(
        "tools",
        sa.Column("tool_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("workspace_id", pg.UUID(), comment="Whose tool it is; nobody's: everybody may use it"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("category", sa.String(100), comment="code_execution, web_search, file_io, api, custom"),
        sa.Column("mcp_server_url", sa.Text()),
        sa.Column("openapi_spec_url", sa.Text()),
        sa.Column("tool_schema", pg.JSONB(), nullable=False, comment="JSON Schema of its parameters"),
        sa.Column("requires_approval", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("allowed_domains", pg.ARRAY(sa.Text()), comment="The domains that a web tool may visit"),
        sa.Column("rate_limit_per_minute", sa.Integer(), server_default=sa.text("60")),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "is_builtin",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Brought by the platform, not by a workspace",
        ),
        sa.Column("total_invocations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_errors", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("avg_execution_ms", sa.Numeric(10, 2)),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("created_by", pg.UUID()),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.PrimaryKeyConstraint("tool_id", name="tools_pkey"),
        sa.UniqueConstraint(
            "workspace_id", "name", name="tools_workspace_name_unique", postgresql_nulls_not_distinct=True
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], name="tools_workspace_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.user_id"], name="tools_created_by_fkey"),
        comment="Tools that agents may use, of a workspace or of everybody",
    )
    attic.create_table(
        "agent_tools",
        sa.Column("agent_tool_id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("agent_id", pg.UUID(), nullable=False),
        sa.Column("tool_id", pg.UUID(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("config", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("execution_order", sa.Integer()),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.PrimaryKeyConstraint("agent_tool_id", name="agent_tools_pkey"),
        sa.UniqueConstraint("agent_id", "tool_id", name="agent_tools_unique"),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.agent_id"], name="agent_tools_agent_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tool_id"], ["tools.tool_id"], name="agent_tools_tool_id_fkey", ondelete="RESTRICT"),
        comment="Which agent uses which tool, in which order",
    )
    attic.create_table(
        "workflows",
        sa.Column("execution_id", pg.UUID(), nullable=False),
        sa.Column("workspace_id", pg.UUID(), nullable=False),
        sa.Column("agent_id", pg.UUID(), nullable=False),
        sa.Column("status", sa.String(50), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("progress", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("metrics", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("deleted_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("execution_id", name="workflows_pkey"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], name="workflows_workspace_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.agent_id"], name="workflows_agent_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled')", name="workflow_status_valid"
        ),
        comment="Read model of the workflow documents in Cosmos DB",
    )


def downgrade() -> None:
    attic.store_tables("agents", "tools", "agent_tools", "workflows")
