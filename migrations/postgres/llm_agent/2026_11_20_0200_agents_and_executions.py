"""Agents, executions, contexts, token usage."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "agents",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("model", sa.String(100), nullable=False, comment="Name of the model, such as gpt-4"),
        sa.Column("provider", sa.String(50), nullable=False, comment="Who runs the model, such as openai"),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column(
            "configuration",
            pg.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Settings of the model: temperature, max_tokens ...",
        ),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", pg.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="agents_pkey"),
        sa.CheckConstraint("status IN ('active', 'inactive', 'archived')", name="agents_status_check"),
        comment="A language model with its prompt and settings, ready to be run",
    )
    attic.create_table(
        "executions",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("agent_id", pg.UUID(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("response", sa.Text()),
        sa.Column("tokens_used", sa.Integer()),
        sa.Column("latency_ms", sa.Integer()),
        sa.Column("status", sa.String(50), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("error_message", sa.Text()),
        sa.Column("executed_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="executions_pkey"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="executions_agent_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint("status IN ('pending', 'running', 'completed', 'failed')", name="executions_status_check"),
        comment="One run of an agent: what it was asked, what it answered, what it took",
    )
    attic.create_table(
        "contexts",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("agent_id", pg.UUID(), nullable=False),
        sa.Column(
            "messages",
            pg.JSONB(),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="The messages, oldest first: {role, content, timestamp}",
        ),
        sa.Column("window_size", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="contexts_pkey"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="contexts_agent_id_fkey", ondelete="CASCADE"),
        comment="The conversation that an agent remembers",
    )
    attic.create_table(
        "token_usage",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("agent_id", pg.UUID(), nullable=False),
        sa.Column("execution_id", pg.UUID()),
        sa.Column("tokens_prompt", sa.Integer(), nullable=False),
        sa.Column("tokens_completion", sa.Integer(), nullable=False),
        sa.Column("tokens_total", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(10, 6), comment="What it cost, in US dollars"),
        sa.Column("recorded_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="token_usage_pkey"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="token_usage_agent_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name="token_usage_execution_id_fkey", ondelete="SET NULL"
        ),
        comment="Tokens and money, for each execution",
    )


def downgrade() -> None:
    attic.store_tables("agents", "executions", "contexts", "token_usage")
