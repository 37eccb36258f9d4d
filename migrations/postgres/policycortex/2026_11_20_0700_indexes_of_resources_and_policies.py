"""Indexes: resources of the cloud, and the policies for them."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0700"
down_revision = "2026_11_20_0600"


def upgrade() -> None:
    op.create_index("idx_resources_tenant_id", "resources", ["tenant_id"])
    op.create_index("idx_resources_subscription_id", "resources", ["subscription_id"])
    op.create_index("idx_resources_type", "resources", ["type"])
    op.create_index("idx_resources_location", "resources", ["location"])
    op.create_index("idx_resources_tags", "resources", ["tags"], postgresql_using="gin")
    op.create_index("idx_resources_tag_keys", "resources", ["tag_keys"], postgresql_using="gin")
    op.create_index(
        "idx_resources_deleted_at", "resources", ["deleted_at"], postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index(
        "idx_resources_search",
        "resources",
        [sa.text("to_tsvector('english', name || ' ' || COALESCE(properties ->> 'description', ''))")],
        postgresql_using="gin",
    )
    op.create_index("idx_policies_tenant_id", "policies", ["tenant_id"])
    op.create_index("idx_policies_type", "policies", ["type"])
    op.create_index("idx_policies_category", "policies", ["category"])
    op.create_index("idx_policies_enabled", "policies", ["enabled"], postgresql_where=sa.text("enabled = true"))
    op.create_index(
        "idx_policies_deleted_at", "policies", ["deleted_at"], postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index(
        "idx_policies_search",
        "policies",
        [
            sa.text(
                "to_tsvector('english', name || ' ' || COALESCE(description, '') || ' ' || COALESCE(display_name, ''))"
            )
        ],
        postgresql_using="gin",
    )
    op.create_index("idx_policies_created_by", "policies", ["created_by"])
    op.create_index("idx_policy_versions_created_by", "policy_versions", ["created_by"])


def downgrade() -> None:
    op.drop_index("idx_policy_versions_created_by", "policy_versions")
    op.drop_index("idx_policies_created_by", "policies")
    op.drop_index("idx_policies_search", "policies")
    op.drop_index("idx_policies_deleted_at", "policies")
    op.drop_index("idx_policies_enabled", "policies")
    op.drop_index("idx_policies_category", "policies")
    op.drop_index("idx_policies_type", "policies")
    op.drop_index("idx_policies_tenant_id", "policies")
    op.drop_index("idx_resources_search", "resources")
    op.drop_index("idx_resources_deleted_at", "resources")
    op.drop_index("idx_resources_tag_keys", "resources")
    op.drop_index("idx_resources_tags", "resources")
    op.drop_index("idx_resources_location", "resources")
    op.drop_index("idx_resources_type", "resources")
    op.drop_index("idx_resources_subscription_id", "resources")
    op.drop_index("idx_resources_tenant_id", "resources")
