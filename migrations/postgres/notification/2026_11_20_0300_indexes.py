"""Indexes."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    op.create_index("idx_notification_templates_channel", "notification_templates", ["channel"])
    op.create_index("idx_notification_templates_status", "notification_templates", ["status"])
    op.create_index("idx_notifications_recipient_id", "notifications", ["recipient_id"])
    op.create_index("idx_notifications_status", "notifications", ["status"])
    op.create_index("idx_notifications_scheduled_at", "notifications", ["scheduled_at"])
    op.create_index("idx_notifications_created_at", "notifications", [sa.text("created_at DESC")])
    op.create_index("idx_notifications_template_id", "notifications", ["template_id"])
    op.create_index("idx_notification_preferences_user_id", "notification_preferences", ["user_id"])


def downgrade() -> None:
    op.drop_index("idx_notification_preferences_user_id", "notification_preferences")
    op.drop_index("idx_notifications_template_id", "notifications")
    op.drop_index("idx_notifications_created_at", "notifications")
    op.drop_index("idx_notifications_scheduled_at", "notifications")
    op.drop_index("idx_notifications_status", "notifications")
    op.drop_index("idx_notifications_recipient_id", "notifications")
    op.drop_index("idx_notification_templates_status", "notification_templates")
    op.drop_index("idx_notification_templates_channel", "notification_templates")
