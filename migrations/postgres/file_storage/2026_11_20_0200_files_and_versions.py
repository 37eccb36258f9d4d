"""Files and their versions."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from dbops.operations.migrate import attic

revision = "2026_11_20_0200"
down_revision = "2026_11_20_0100"


def upgrade() -> None:
    attic.create_table(
        "files",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("mime_type", sa.String(100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", pg.UUID(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False, comment="Key of its bytes in object storage"),
        sa.Column("status", sa.String(50), server_default=sa.text("'uploading'"), nullable=False),
        sa.Column("current_version_id", pg.UUID(), comment="The newest version"),
        sa.Column(
            "metadata",
            pg.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Tags, description, fields of one's own",
        ),
        sa.Column("uploaded_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_accessed_at", sa.TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="files_pkey"),
        sa.UniqueConstraint("storage_key", name="files_storage_key_key"),
        sa.CheckConstraint(
            "status IN ('uploading', 'scanning', 'available', 'quarantined', 'deleted')", name="files_status_check"
        ),
        sa.CheckConstraint("size_bytes >= 0", name="files_size_check"),
        comment="A file as people see it; its bytes lie in object storage",
    )
    attic.create_table(
        "file_versions",
        sa.Column("id", pg.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("file_id", pg.UUID(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False, comment="SHA-256 of the bytes"),
        sa.Column("uploaded_by", pg.UUID(), nullable=False),
        sa.Column("uploaded_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="file_versions_pkey"),
        sa.UniqueConstraint("storage_key", name="file_versions_storage_key_key"),
        sa.UniqueConstraint("file_id", "version_number", name="file_versions_file_id_version_number_key"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="file_versions_file_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint("size_bytes >= 0", name="file_versions_size_check"),
        comment="Each upload of a file",
    )


def downgrade() -> None:
    attic.store_tables("files", "file_versions")
