"""Rules, results, scoring models."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "validation_rules",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column(
            "rule_type", sa.String(50), nullable=False, comment="How it judges; a composite rule combines others"
        ),
        sa.Column("configuration", pg.JSONB(), nullable=False, comment="Settings of this type of rule"),
        sa.Column("severity", sa.String(50), server_default=sa.text("'error'"), nullable=False),
        sa.Column(
            "weight",
            sa.Numeric(3, 2),
            server_default=sa.text("1.0"),
            nullable=False,
            comment="How much it counts in a score, 0 to 1",
        ),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="validation_rules_pkey"),
        sa.CheckConstraint(
            "rule_type IN ('regex', 'nlp', 'length', 'custom', 'composite')", name="validation_rules_type_check"
        ),
        sa.CheckConstraint("severity IN ('error', 'warning', 'info')", name="validation_rules_severity_check"),
        sa.CheckConstraint("status IN ('active', 'inactive')", name="validation_rules_status_check"),
        sa.CheckConstraint("weight >= 0 AND weight <= 1", name="validation_rules_weight_check"),
        comment="What content is judged by",
    )
    attic.create_table(
        "validation_results",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "source_type",
            sa.String(50),
            nullable=False,
            comment="Where the content comes from: agent_response, workflow_output",
        ),
        sa.Column("source_id", pg.UUID(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column(
            "overall_score", sa.Numeric(3, 2), nullable=False, comment="0.00 to 1.00, the weighted rules together"
        ),
        sa.Column("status", sa.String(50), nullable=False, comment="The score against the thresholds of the model"),
        sa.Column("rule_results", pg.JSONB(), nullable=False, comment="What each rule said"),
        sa.Column("validated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="validation_results_pkey"),
        sa.CheckConstraint("overall_score >= 0 AND overall_score <= 1", name="validation_results_score_check"),
        sa.CheckConstraint("status IN ('passed', 'failed', 'warning')", name="validation_results_status_check"),
        comment="How one piece of content was judged",
    )
    attic.create_table(
        "scoring_models",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("rules", pg.JSONB(), nullable=False, comment="The rules and their weights: {rule_id, weight}"),
        sa.Column("pass_threshold", sa.Numeric(3, 2), server_default=sa.text("0.7"), nullable=False),
        sa.Column("warning_threshold", sa.Numeric(3, 2), server_default=sa.text("0.5"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="scoring_models_pkey"),
        sa.CheckConstraint("status IN ('active', 'inactive')", name="scoring_models_status_check"),
        comment="Which rules count how much, and what is enough",
    )


def downgrade() -> None:
    attic.store_tables("validation_rules", "validation_results", "scoring_models")
