"""What the service knows of agents."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    attic.create_table(
        "workflow_agent_cache",
        sa.Column("agent_id", pg.UUID(), nullable=False),
        sa.Column("agent_name", sa.String(255), nullable=False),
        sa.Column("last_synced_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", name="workflow_agent_cache_pkey"),
        comment="Names of agents, copied from the agent service by its events",
    )


def downgrade() -> None:
    attic.store_tables("workflow_agent_cache")
