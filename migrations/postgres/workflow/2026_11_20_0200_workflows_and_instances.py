"""Workflows, their instances, tasks and compensations."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "workflows",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("status", sa.String(50), server_default=sa.text("'draft'"), nullable=False),
        sa.Column("definition", pg.JSONB(), nullable=False, comment="The steps, their order and their conditions"),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", pg.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="workflows_pkey"),
        sa.CheckConstraint("status IN ('draft', 'active', 'deprecated')", name="workflows_status_check"),
        comment="What can be run: the definition of steps, by version",
    )
    attic.create_table(
        "workflow_instances",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("workflow_id", pg.UUID(), nullable=False),
        sa.Column("current_step_index", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.String(50), server_default=sa.text("'pending'"), nullable=False),
        sa.Column(
            "context",
            pg.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Data that the steps share",
        ),
        sa.Column("started_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("error_message", sa.Text()),
        sa.Column("created_by", pg.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="workflow_instances_pkey"),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name="workflow_instances_workflow_id_fkey", ondelete="RESTRICT"
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')",
            name="workflow_instances_state_check",
        ),
        comment="One run of a workflow, and where it stands",
    )
    attic.create_table(
        "tasks",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("instance_id", pg.UUID(), nullable=False),
        sa.Column(
            "step_id", sa.String(255), nullable=False, comment="The step's name in the definition of the workflow"
        ),
        sa.Column("step_type", sa.String(50), nullable=False, comment="agent, validation, parallel, decision"),
        sa.Column("status", sa.String(50), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("input", pg.JSONB()),
        sa.Column("output", pg.JSONB()),
        sa.Column("error_message", sa.Text()),
        sa.Column("attempt_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("started_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("duration_ms", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="tasks_pkey"),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["workflow_instances.id"], name="tasks_instance_id_fkey", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'skipped')", name="tasks_status_check"
        ),
        comment="One step of a running workflow, with its attempts",
    )
    attic.create_table(
        "saga_compensations",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("instance_id", pg.UUID(), nullable=False),
        sa.Column("task_id", pg.UUID(), nullable=False),
        sa.Column("compensation_action", sa.Text(), nullable=False),
        sa.Column("compensation_data", pg.JSONB()),
        sa.Column("executed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("status", sa.String(50), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("error_message", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="saga_compensations_pkey"),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["workflow_instances.id"], name="saga_compensations_instance_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="saga_compensations_task_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint(
            "status IN ('pending', 'executing', 'completed', 'failed')", name="saga_compensations_status_check"
        ),
        comment="What undoes a task when a later one fails",
    )


def downgrade() -> None:
    attic.store_tables("workflows", "workflow_instances", "tasks", "saga_compensations")
