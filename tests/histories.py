"""A history that a test may add revisions to."""

import shutil
from pathlib import Path

from migrating import FOLDER, Databases


def copy_of(databases: Databases, target: str) -> Path:
    """Copy the history of a target, and let the databases' configuration lead there; return its folder."""
    place = databases.folder / "migrations"
    place.mkdir()
    for name in ("alembic.ini", "env.py", "script.py.mako"):
        shutil.copy(FOLDER / name, place)
    for each in databases.targets:
        shutil.copytree(FOLDER / "postgres" / each, place / "postgres" / each, ignore=shutil.ignore_patterns("__*"))
    databases.configure(place)
    return place / "postgres" / target


def revision(history: Path, id_: str, *body: str, attributes: str = "", name: str = "more") -> Path:
    """Write the next revision."""
    last = max(path.name[:15] for path in history.glob("2*.py"))
    lines = "\n    ".join(body)
    file = history / f"{id_}_{name}.py"
    file.write_text(
        f'"""More."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = "{id_}"\n'
        f'down_revision = "{last}"\n{attributes}\n\n\ndef upgrade() -> None:\n    {lines}\n\n\n'
        "def downgrade() -> None:\n    pass\n",
        encoding="utf-8",
    )
    return file
