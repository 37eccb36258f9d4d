"""Add users.email_verified, which may be empty for now: nothing is rewritten, and old clients notice nothing."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_21_0200"
down_revision = "2026_11_21_0100"


def upgrade() -> None:
    op.add_column("users", sa.Column("email_verified", sa.Boolean()))


def downgrade() -> None:
    op.drop_column("users", "email_verified")
