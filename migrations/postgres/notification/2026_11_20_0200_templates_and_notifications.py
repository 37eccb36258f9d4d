"""Templates, notifications, preferences."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "notification_templates",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("channel", sa.String(50), nullable=False, comment="The way it is sent"),
        sa.Column("subject", sa.String(500), comment="Subject of an e-mail"),
        sa.Column("body", sa.Text(), nullable=False, comment="The text, as a Twig template"),
        sa.Column(
            "variables",
            pg.JSONB(),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="Names of the variables in the text",
        ),
        sa.Column("status", sa.String(50), server_default=sa.text("'active'"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="notification_templates_pkey"),
        sa.UniqueConstraint("name", name="notification_templates_name_key"),
        sa.CheckConstraint(
            "channel IN ('email', 'sms', 'webhook', 'in_app')", name="notification_templates_channel_check"
        ),
        sa.CheckConstraint("status IN ('active', 'inactive')", name="notification_templates_status_check"),
        comment="The text of a kind of message, for one channel",
    )
    attic.create_table(
        "notifications",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("recipient_id", pg.UUID(), nullable=False, comment="The person who gets it"),
        sa.Column("template_id", pg.UUID()),
        sa.Column("channel", sa.String(50), nullable=False),
        sa.Column("priority", sa.String(50), server_default=sa.text("'normal'"), nullable=False),
        sa.Column("status", sa.String(50), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("subject", sa.String(500)),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("metadata", pg.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("scheduled_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("sent_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("delivered_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("read_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("error_message", sa.Text()),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_retries", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="notifications_pkey"),
        sa.ForeignKeyConstraint(
            ["template_id"], ["notification_templates.id"], name="notifications_template_id_fkey", ondelete="SET NULL"
        ),
        sa.CheckConstraint("channel IN ('email', 'sms', 'webhook', 'in_app')", name="notifications_channel_check"),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name="notifications_priority_check"),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'bounced', 'cancelled')",
            name="notifications_status_check",
        ),
        comment="One message to one person, from scheduled to read",
    )
    attic.create_table(
        "notification_preferences",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", pg.UUID(), nullable=False),
        sa.Column("channel", sa.String(50), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "frequency",
            sa.String(50),
            server_default=sa.text("'immediate'"),
            nullable=False,
            comment="At once, collected by hour, day or week, or not at all",
        ),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="notification_preferences_pkey"),
        sa.UniqueConstraint("user_id", "channel", name="notification_preferences_user_id_channel_key"),
        sa.CheckConstraint(
            "channel IN ('email', 'sms', 'webhook', 'in_app')", name="notification_preferences_channel_check"
        ),
        sa.CheckConstraint(
            "frequency IN ('immediate', 'hourly', 'daily', 'weekly', 'off')",
            name="notification_preferences_frequency_check",
        ),
        comment="What a person wants to hear, by channel",
    )


def downgrade() -> None:
    attic.store_tables("notification_templates", "notifications", "notification_preferences")
