"""Memory and tasks of agents, the audit log."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0500"
down_revision = "2026_11_20_0400"


def upgrade() -> None:
    attic.create_table(
        "agent_memory",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID()),
        sa.Column("agent_type", sa.String(100), nullable=False),
        sa.Column("memory_type", sa.String(50), comment="pattern, decision, feedback"),
        sa.Column("memory_content", pg.JSONB(), nullable=False),
        sa.Column("confidence_score", sa.Double(), server_default=sa.text("0.0")),
        sa.Column("usage_count", sa.Integer(), server_default=sa.text("0")),
        sa.Column("context_tags", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("related_flows", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("last_accessed", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="agent_memory_pkey"),
        comment="What agents have learnt about a customer",
    )
    attic.create_table(
        "agent_task_history",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("client_account_id", pg.UUID(), nullable=False),
        sa.Column("engagement_id", pg.UUID()),
        sa.Column("flow_id", pg.UUID()),
        sa.Column("agent_name", sa.String(255), nullable=False),
        sa.Column("task_type", sa.String(100), nullable=False),
        sa.Column("task_description", sa.Text()),
        sa.Column("duration_seconds", sa.Integer()),
        sa.Column("tokens_used", sa.Integer()),
        sa.Column("success_rate", sa.Double()),
        sa.Column("task_result", pg.JSONB()),
        sa.Column("error_details", pg.JSONB()),
        sa.Column("started_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="agent_task_history_pkey"),
        comment="What agents did, how long it took, whether it worked",
    )
    attic.create_table(
        "audit_log",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("table_name", sa.String(100), nullable=False),
        sa.Column("record_id", pg.UUID(), nullable=False),
        sa.Column("operation", sa.String(10), nullable=False, comment="INSERT, UPDATE, DELETE"),
        sa.Column("old_values", pg.JSONB()),
        sa.Column("new_values", pg.JSONB()),
        sa.Column("user_id", pg.UUID()),
        sa.Column("client_account_id", pg.UUID()),
        sa.Column("timestamp", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="audit_log_pkey"),
        comment="Every change of a tenant's row, written by triggers",
    )


def downgrade() -> None:
    attic.store_tables("agent_memory", "agent_task_history", "audit_log")
