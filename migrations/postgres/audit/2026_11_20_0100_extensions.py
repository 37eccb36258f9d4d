"""Extensions and roles that the schema needs"""

from dbops.operations.migrate import objects

revision = "2026_11_20_0100"
down_revision = None


def upgrade() -> None:
    objects.create_extensions("pgcrypto")


def downgrade() -> None:
    pass  # extensions and roles stay: others may use them by now
