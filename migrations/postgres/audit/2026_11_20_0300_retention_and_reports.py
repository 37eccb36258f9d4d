"""Retention policies and compliance reports."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    attic.create_table(
        "retention_policies",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False, comment="Days until the events go"),
        sa.Column("anonymize_after_days", sa.Integer(), comment="Days until personal data in them are made anonymous"),
        sa.Column("deletion_strategy", sa.String(50), server_default=sa.text("'hard_delete'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="retention_policies_pkey"),
        sa.UniqueConstraint("event_type", name="retention_policies_event_type_key"),
        sa.CheckConstraint(
            "deletion_strategy IN ('hard_delete', 'anonymize', 'archive')", name="retention_policies_deletion_check"
        ),
        comment="How long events of a type are kept",
    )
    attic.create_table(
        "compliance_reports",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("report_type", sa.String(100), nullable=False, comment="The rule book that it answers to"),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("filters", pg.JSONB()),
        sa.Column("status", sa.String(50), server_default=sa.text("'generating'"), nullable=False),
        sa.Column("file_path", sa.Text()),
        sa.Column("generated_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("generated_by", pg.UUID()),
        sa.PrimaryKeyConstraint("id", name="compliance_reports_pkey"),
        sa.CheckConstraint(
            "report_type IN ('gdpr', 'soc2', 'iso27001', 'nis2', 'custom')", name="compliance_reports_type_check"
        ),
        sa.CheckConstraint("status IN ('generating', 'completed', 'failed')", name="compliance_reports_status_check"),
        comment="Reports for auditors, and where their files are",
    )


def downgrade() -> None:
    attic.store_tables("retention_policies", "compliance_reports")
