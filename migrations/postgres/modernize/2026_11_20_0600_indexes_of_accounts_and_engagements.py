"""Indexes: client accounts, users, engagements."""

from alembic import op

revision = "2026_11_20_0600"
down_revision = "2026_11_20_0500"


def upgrade() -> None:
    op.create_index("idx_client_accounts_active", "client_accounts", ["is_active"])
    op.create_index("idx_client_accounts_subscription", "client_accounts", ["subscription_tier"])
    op.create_index("idx_engagements_client", "engagements", ["client_account_id"])
    op.create_index("idx_engagements_status", "engagements", ["status"])
    op.create_index("idx_engagements_active", "engagements", ["is_active"])
    op.create_index("idx_engagements_engagement_lead_id", "engagements", ["engagement_lead_id"])
    op.create_index("idx_engagements_created_by", "engagements", ["created_by"])
    op.create_index("idx_users_default_client_id", "users", ["default_client_id"])
    op.create_index("idx_users_default_engagement_id", "users", ["default_engagement_id"])
    op.create_index("idx_user_associations_user", "user_account_associations", ["user_id"])
    op.create_index("idx_user_associations_client", "user_account_associations", ["client_account_id"])
    op.create_index("idx_user_account_associations_created_by", "user_account_associations", ["created_by"])


def downgrade() -> None:
    op.drop_index("idx_user_account_associations_created_by", "user_account_associations")
    op.drop_index("idx_user_associations_client", "user_account_associations")
    op.drop_index("idx_user_associations_user", "user_account_associations")
    op.drop_index("idx_users_default_engagement_id", "users")
    op.drop_index("idx_users_default_client_id", "users")
    op.drop_index("idx_engagements_created_by", "engagements")
    op.drop_index("idx_engagements_engagement_lead_id", "engagements")
    op.drop_index("idx_engagements_active", "engagements")
    op.drop_index("idx_engagements_status", "engagements")
    op.drop_index("idx_engagements_client", "engagements")
    op.drop_index("idx_client_accounts_subscription", "client_accounts")
    op.drop_index("idx_client_accounts_active", "client_accounts")
