"""Indexes."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    op.create_index("idx_validation_rules_type", "validation_rules", ["rule_type"])
    op.create_index("idx_validation_rules_status", "validation_rules", ["status"])
    op.create_index("idx_validation_results_source", "validation_results", ["source_type", "source_id"])
    op.create_index("idx_validation_results_validated_at", "validation_results", [sa.text("validated_at DESC")])
    op.create_index("idx_validation_results_status", "validation_results", ["status"])


def downgrade() -> None:
    op.drop_index("idx_validation_results_status", "validation_results")
    op.drop_index("idx_validation_results_validated_at", "validation_results")
    op.drop_index("idx_validation_results_source", "validation_results")
    op.drop_index("idx_validation_rules_status", "validation_rules")
    op.drop_index("idx_validation_rules_type", "validation_rules")
