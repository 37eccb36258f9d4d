"""Triggers that keep updated_at true."""

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
$$ LANGUAGE plpgsql"""

DATED = ("tenants", "users", "resources", "policies")


def upgrade() -> None:
    op.execute(UPDATE_UPDATED_AT_COLUMN)
    for table in DATED:
        objects.create_trigger(f"update_{table}_updated_at", table, "BEFORE UPDATE", "update_updated_at_column")


def downgrade() -> None:
    for table in DATED:
        objects.drop_trigger(f"update_{table}_updated_at", table)
    op.execute("DROP FUNCTION update_updated_at_column()")
