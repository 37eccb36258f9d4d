"""Indexes."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_20_0400"
down_revision = "2026_11_20_0300"


def upgrade() -> None:
    op.create_index("idx_files_owner_id", "files", ["owner_id"])
    op.create_index("idx_files_status", "files", ["status"])
    op.create_index("idx_files_uploaded_at", "files", [sa.text("uploaded_at DESC")])
    op.create_index("idx_file_versions_file_id", "file_versions", ["file_id"])
    op.create_index("idx_file_permissions_file_id", "file_permissions", ["file_id"])
    op.create_index("idx_file_permissions_principal", "file_permissions", ["principal_type", "principal_id"])
    op.create_index("idx_scan_results_file_id", "scan_results", ["file_id"])
    op.create_index("idx_scan_results_status", "scan_results", ["status"])
    op.create_index("idx_scan_results_version_id", "scan_results", ["version_id"])


def downgrade() -> None:
    op.drop_index("idx_scan_results_version_id", "scan_results")
    op.drop_index("idx_scan_results_status", "scan_results")
    op.drop_index("idx_scan_results_file_id", "scan_results")
    op.drop_index("idx_file_permissions_principal", "file_permissions")
    op.drop_index("idx_file_permissions_file_id", "file_permissions")
    op.drop_index("idx_file_versions_file_id", "file_versions")
    op.drop_index("idx_files_uploaded_at", "files")
    op.drop_index("idx_files_status", "files")
    op.drop_index("idx_files_owner_id", "files")
