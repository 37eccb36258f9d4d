"""The view of users that decrypts their addresses."""

from dbops.operations.migrate import objects

revision = "2026_11_20_1000"
down_revision = "2026_11_20_0900"

USERS_SECURE = """SELECT
    id,
    pgp_sym_decrypt(email, NULLIF(current_setting('app.encryption_key', true), '')) AS email,
    first_name,
    last_name,
    is_active,
    created_at
FROM users"""


def upgrade() -> None:
    objects.create_view("users_secure", USERS_SECURE)


def downgrade() -> None:
    objects.drop_views("users_secure")
