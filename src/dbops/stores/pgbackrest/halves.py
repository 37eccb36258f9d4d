"""The rest of a stanza-create that was killed: pgBackRest takes it for corruption, and asks for a human."""

import shutil
from pathlib import Path


def is_half(repository: Path, stanza: str, *, even_archived: bool = False) -> bool:
    """Tell whether a stanza was begun in this folder, and not finished: even a torn temporary file counts.

    Where there is an archive or a backup, it is damage and no beginning. But archiving needs the first info file only:
    whoever knows that the server archived from the beginning may count an archive that no backup needs.
    """
    archive, backup = (repository / part / stanza for part in ("archive", "backup"))
    folders = [folder for folder in (archive, backup) if folder.exists()]
    if not folders:
        return False
    whole = (archive / "archive.info").exists() and (backup / "backup.info").exists()
    counted = [folder for folder in folders if folder == backup or not even_archived]
    kept = [entry for folder in counted for entry in folder.iterdir() if entry.is_dir()]
    return not whole and not kept


def clear_half(repository: Path, stanza: str, *, even_archived: bool = False) -> None:
    """Remove what such a creation left; anything else is not touched."""
    if is_half(repository, stanza, even_archived=even_archived):
        for folder in (repository / part / stanza for part in ("archive", "backup")):
            if folder.exists():
                shutil.rmtree(folder)
