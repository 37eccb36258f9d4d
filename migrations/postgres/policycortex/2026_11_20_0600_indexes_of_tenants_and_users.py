"""Indexes: tenants and their users."""

from alembic import op

revision = "2026_11_20_0600"
down_revision = "2026_11_20_0500"


def upgrade() -> None:
    op.create_index("idx_users_tenant_id", "users", ["tenant_id"])


def downgrade() -> None:
    op.drop_index("idx_users_tenant_id", "users")
