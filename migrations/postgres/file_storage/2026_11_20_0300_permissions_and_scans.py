"""Permissions and virus scans."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0300"
down_revision = "2026_11_20_0200"


def upgrade() -> None:
    attic.create_table(
        "file_permissions",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("file_id", pg.UUID(), nullable=False),
        sa.Column(
            "principal_type", sa.String(50), nullable=False, comment="To whom it is given: a person, a role, everybody"
        ),
        sa.Column("principal_id", pg.UUID(), comment="The person or the role; nobody for public"),
        sa.Column(
            "permission_level",
            sa.String(50),
            nullable=False,
            comment="What is allowed; each level holds those before it",
        ),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", pg.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="file_permissions_pkey"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="file_permissions_file_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint(
            "principal_type IN ('user', 'role', 'public')", name="file_permissions_principal_type_check"
        ),
        sa.CheckConstraint(
            "permission_level IN ('read', 'write', 'delete', 'admin')", name="file_permissions_level_check"
        ),
        comment="Who may do what with a file",
    )
    attic.create_table(
        "scan_results",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("file_id", pg.UUID(), nullable=False),
        sa.Column("version_id", pg.UUID(), nullable=False),
        sa.Column("scanner", sa.String(100), server_default=sa.text("'ClamAV'"), nullable=False),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("threats", pg.JSONB(), comment="What was found"),
        sa.Column("scanned_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="scan_results_pkey"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="scan_results_file_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["version_id"], ["file_versions.id"], name="scan_results_version_id_fkey", ondelete="CASCADE"
        ),
        sa.CheckConstraint("status IN ('clean', 'infected', 'error', 'skipped')", name="scan_results_status_check"),
        comment="What the virus scanner said of a version",
    )


def downgrade() -> None:
    attic.store_tables("file_permissions", "scan_results")
