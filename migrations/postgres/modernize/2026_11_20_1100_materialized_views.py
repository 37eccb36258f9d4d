"""Materialized views, each with the unique index that a concurrent refresh needs."""

from alembic import op

from dbops.operations.migrate import objects

revision = "2026_11_20_1100"
down_revision = "2026_11_20_1000"

ENGAGEMENT_SUMMARY = """SELECT
    e.id AS engagement_id,
    e.client_account_id,
    e.name AS engagement_name,
    COUNT(DISTINCT df.id) AS discovery_flows_count,
    COUNT(DISTINCT a.id) AS assets_count,
    AVG(df.progress_percentage) AS avg_progress,
    COUNT(DISTINCT CASE WHEN df.status = 'completed' THEN df.id END) AS completed_flows
FROM engagements e
LEFT JOIN discovery_flows df ON e.id = df.engagement_id
LEFT JOIN assets a ON e.id = a.engagement_id
WHERE e.is_active = TRUE
GROUP BY e.id, e.client_account_id, e.name"""


def upgrade() -> None:
    objects.create_materialized_view("engagement_summary", ENGAGEMENT_SUMMARY)
    op.create_index("idx_engagement_summary_engagement", "engagement_summary", ["engagement_id"], unique=True)
    op.create_index("idx_engagement_summary_client", "engagement_summary", ["client_account_id"])


def downgrade() -> None:
    objects.drop_materialized_views("engagement_summary")
