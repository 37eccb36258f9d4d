"""Events, partitioned by month."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "audit_events",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("timestamp", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "event_type", sa.String(100), nullable=False, comment="user_action, system_event, security_event ..."
        ),
        sa.Column(
            "actor_type",
            sa.String(50),
            nullable=False,
            comment="Who acted: a person, a service, the system, or nobody known",
        ),
        sa.Column("actor_id", pg.UUID(), nullable=False),
        sa.Column("actor_ip_address", pg.INET()),
        sa.Column("action", sa.String(100), nullable=False, comment="create, read, update, delete, execute ..."),
        sa.Column("resource_type", sa.String(100), nullable=False),
        sa.Column("resource_id", pg.UUID()),
        sa.Column("result", sa.String(50), nullable=False, comment="Whether it came to its end"),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("before_state", pg.JSONB(), comment="The state before, for an update"),
        sa.Column("after_state", pg.JSONB(), comment="The state after, for a create or an update"),
        sa.Column("trace_id", pg.UUID(), comment="The request it belongs to, across services"),
        sa.Column("session_id", pg.UUID()),
        sa.Column("checksum", sa.String(64), nullable=False, comment="SHA-256 of the event, to notice a change"),
        sa.PrimaryKeyConstraint("id", "timestamp", name="audit_events_pkey"),
        sa.CheckConstraint(
            "actor_type IN ('user', 'service', 'system', 'anonymous')", name="audit_events_actor_type_check"
        ),
        sa.CheckConstraint("result IN ('success', 'failure', 'partial')", name="audit_events_result_check"),
        comment="What was done by whom to what; rows are never changed, and lie in partitions by month",
        postgresql_partition_by='RANGE ("timestamp")',
    )


def downgrade() -> None:
    attic.store_tables("audit_events")
