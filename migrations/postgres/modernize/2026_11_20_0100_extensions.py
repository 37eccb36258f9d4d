"""Extensions, and the role that policies name."""

from dbops.operations.migrate import objects

revision = "2026_11_20_0100"
down_revision = None


def upgrade() -> None:
    objects.create_extensions("pgcrypto", "pg_stat_statements")
    objects.ensure_role("application_user")


def downgrade() -> None:
    pass  # extensions and roles stay: others may use them by now
