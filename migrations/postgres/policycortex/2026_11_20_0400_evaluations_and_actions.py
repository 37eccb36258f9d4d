"""Evaluations of policies, and what followed."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0400"
down_revision = "2026_11_20_0300"


def upgrade() -> None:
    attic.create_table(
        "policy_evaluations",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("policy_id", pg.UUID(), nullable=False),
        sa.Column("resource_id", pg.UUID(), nullable=False),
        sa.Column(
            "status",
            pg.ENUM(name="evaluation_status", create_type=False),
            server_default=sa.text("'pending'::evaluation_status"),
            nullable=False,
        ),
        sa.Column("result", pg.ENUM(name="evaluation_result", create_type=False)),
        sa.Column("score", sa.Numeric(5, 2), comment="Per cent, 0.00 to 100.00"),
        sa.Column("evidence", pg.JSONB(), server_default=sa.text("'[]'")),
        sa.Column("recommendations", pg.ARRAY(sa.Text())),
        sa.Column("error_message", sa.Text()),
        sa.Column("execution_time_ms", sa.Integer()),
        sa.Column("evaluated_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="policy_evaluations_pkey"),
        sa.UniqueConstraint(
            "policy_id", "resource_id", "evaluated_at", name="policy_evaluations_policy_id_resource_id_evaluated_at_key"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="policy_evaluations_tenant_id_fkey"),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name="policy_evaluations_policy_id_fkey"),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name="policy_evaluations_resource_id_fkey"),
        comment="How one policy judged one resource; one at a time is open",
    )
    attic.create_table(
        "actions",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("resource_id", pg.UUID(), nullable=False),
        sa.Column("policy_evaluation_id", pg.UUID()),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("action_type", sa.String(100), nullable=False),
        sa.Column("parameters", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column(
            "status",
            pg.ENUM(name="execution_status", create_type=False),
            server_default=sa.text("'pending'::execution_status"),
            nullable=False,
        ),
        sa.Column("dry_run", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("result", pg.JSONB()),
        sa.Column("error_message", sa.Text()),
        sa.Column("execution_time_ms", sa.Integer()),
        sa.Column("executed_by", pg.UUID()),
        sa.Column("approved_by", pg.UUID()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("started_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="actions_pkey"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="actions_tenant_id_fkey"),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name="actions_resource_id_fkey"),
        sa.ForeignKeyConstraint(
            ["policy_evaluation_id"], ["policy_evaluations.id"], name="actions_policy_evaluation_id_fkey"
        ),
        sa.ForeignKeyConstraint(["executed_by"], ["users.id"], name="actions_executed_by_fkey"),
        sa.ForeignKeyConstraint(["approved_by"], ["users.id"], name="actions_approved_by_fkey"),
        comment="What was done, or would be done, to put a resource right",
    )
    attic.create_table(
        "compliance_reports",
        sa.Column("id", pg.UUID(), server_default=sa.text("uuid_generate_v4()"), nullable=False),
        sa.Column("tenant_id", pg.UUID(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("filters", pg.JSONB(), server_default=sa.text("'{}'")),
        sa.Column("generated_by", pg.UUID()),
        sa.Column("status", sa.String(50), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("results", pg.JSONB()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="compliance_reports_pkey"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="compliance_reports_tenant_id_fkey"),
        sa.ForeignKeyConstraint(["generated_by"], ["users.id"], name="compliance_reports_generated_by_fkey"),
        comment="Reports for auditors, with their summary",
    )


def downgrade() -> None:
    attic.store_tables("policy_evaluations", "actions", "compliance_reports")
