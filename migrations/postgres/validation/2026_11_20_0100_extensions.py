"""The extension that the schema was written for."""

from dbops.operations.migrate import objects

revision = "2026_11_20_0100"
down_revision = None


def upgrade() -> None:
    objects.create_extensions("pgcrypto")


def downgrade() -> None:
    pass  # an extension stays: others may use it by now
