"""Triggers"""

from alembic import op

from dbops.operations.migrate import objects

revision = "2026_11_20_1200"
down_revision = "2026_11_20_1100"

UPDATE_UPDATED_AT_COLUMN = """CREATE FUNCTION update_updated_at_column()
RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = NOW();
    RETURN NEW;
END;
$$ language 'plpgsql'"""


def upgrade() -> None:
    op.execute(UPDATE_UPDATED_AT_COLUMN)
    objects.create_trigger("update_tenants_updated_at", "tenants", "BEFORE UPDATE", "update_updated_at_column")
    objects.create_trigger("update_users_updated_at", "users", "BEFORE UPDATE", "update_updated_at_column")
    objects.create_trigger("update_resources_updated_at", "resources", "BEFORE UPDATE", "update_updated_at_column")
    objects.create_trigger("update_policies_updated_at", "policies", "BEFORE UPDATE", "update_updated_at_column")


def downgrade() -> None:
    objects.drop_trigger("update_policies_updated_at", "policies")
    objects.drop_trigger("update_resources_updated_at", "resources")
    objects.drop_trigger("update_users_updated_at", "users")
    objects.drop_trigger("update_tenants_updated_at", "tenants")
    op.execute("DROP FUNCTION update_updated_at_column()")
