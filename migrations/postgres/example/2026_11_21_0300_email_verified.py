"""Make users.email_verified NOT NULL.

The document fills it by one UPDATE of all rows, while clients that know nothing of it go on to leave it empty, and
people without an email keep it empty for good: its SET NOT NULL fails on them, after a scan under the strongest lock.
Here a trigger fills what old clients leave out, the backfill does the others in batches, and who has no email is not
verified. A CHECK proves it before NOT NULL is set.
"""

from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.not_null import NotNull

revision = "2026_11_21_0300"
down_revision = "2026_11_21_0200"

change = "users-email-verified"
phase = "expand"
impact = "clients may leave email_verified out until the change is contracted; NULL is never stored"
shape = NotNull(
    table="public.users",
    column="email_verified",
    fill="r.email IS NOT NULL",
)


def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
