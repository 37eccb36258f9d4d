"""Replace public.workspaces.

The document carries over only what was created since 2025, in a trigger that comes after the backfill and follows only
name and updated_at, and drops a table on which foreign keys, views and policies still hang: older workspaces, updates
of other columns and rows written in between are lost. Here the triggers come first and follow every column, every row
is carried over and compared in both directions, and keys, views, policies and rights go over with the name.
"""

from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.replaced import Replaced

revision = "2026_11_21_0400"
down_revision = "2026_11_21_0300"

change = "workspaces-v2"
phase = "expand"
impact = "none: reads and writes go on under the same name, in one table or the other"
COLUMNS = ("name", "slug", "owner_id", "tier", "settings", "created_at", "updated_at")
shape = Replaced(
    table="public.workspaces",
    by="public.workspaces_v2",
    key=("workspace_id",),
    create="CREATE TABLE public.workspaces_v2 (LIKE public.workspaces INCLUDING ALL)",
    up={name: f"r.{name}" for name in COLUMNS},
    down={name: f"r.{name}" for name in COLUMNS},
    as_written=("settings",),
)


def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
