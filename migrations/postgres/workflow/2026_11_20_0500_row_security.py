"""Row security: who sees which rows."""

from dbops.operations.migrate import objects

revision = "2026_11_20_0500"
down_revision = "2026_11_20_0400"


def upgrade() -> None:
    objects.enable_row_security("workflows")
    objects.create_policy(
        "workflow_isolation",
        "workflows",
        using="created_by = NULLIF(current_setting('app.current_user_id', true), '')::uuid",
    )


def downgrade() -> None:
    objects.drop_policy("workflow_isolation", "workflows")
    objects.disable_row_security("workflows")
