"""Bring the files of a backup set back, by pgBackRest, into a folder that is empty."""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dbops import process
from dbops.config.model import Cluster
from dbops.errors import DbopsError, VerifiedBad
from dbops.operations.clusters.restore.facts import Aim, options
from dbops.stores import pgbackrest

# checksum, format, protocol, missing file, file read, crypto: the repository does not hold what it says
_BAD = frozenset({26, 29, 39, 42, 55, 95})
# What the production's configuration may say, and a restore beside it must not follow.
_OWN_FOLDER = (
    *("--reset-pg1-host", "--no-link-all", "--reset-link-map", "--reset-tablespace-map"),
    *("--reset-db-include", "--reset-db-exclude", "--reset-recovery-option", "--no-delta"),
)


def move(
    place: Cluster,
    aim: Aim,
    into: Path,
    *,
    target: str,
    tablespaces: Path | None,
    more: Sequence[str] = (),
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Restore the set into `into`, with all the cores there are.

    With `tablespaces` every tablespace and every link of the original lands below our own folders, whatever
    pgBackRest's configuration says; without, things go where they were.
    """
    inside = () if tablespaces is None else (*_OWN_FOLDER, f"--tablespace-map-all={tablespaces}", "--archive-mode=off")
    asked = (f"--pg1-path={into}", f"--process-max={len(os.sched_getaffinity(0))}", *options(aim), *inside, *more)
    try:
        pgbackrest.run(place, "restore", *asked, target=target, connects=False, on_line=on_line)
    except DbopsError as error:
        cause = error.__cause__
        if not isinstance(cause, process.ProgramFailed):
            raise
        said = "\n".join(cause.last)
        if pgbackrest.out_of_space(said) is not None:
            raise DbopsError(
                f"the disk is full: {error.message}",
                hint="what was restored is removed again; choose a larger place: --to FOLDER",
                target=target,
            ) from cause
        if cause.returncode in _BAD:
            raise VerifiedBad(
                f"set {aim.label} in repository {aim.repository} cannot be restored: {error.message}",
                hint=f"dbops backup verify --target {target} tells what else is damaged; restore an older set",
                target=target,
            ) from cause
        raise


def archive_get(place: Cluster, aim: Aim, data: Path) -> str:
    """Return the restore_command of a scratch copy: it only reads, and leaves the production's spool alone."""
    config = () if place.pgbackrest_config is None else (f"--config={place.pgbackrest_config}",)
    argv = [str(process.find("pgbackrest")), *config, f"--stanza={place.stanza}", f"--pg1-path={data}"]
    quiet = ("--no-archive-async", f"--repo={aim.repository}", "--log-level-file=off", "--log-level-console=off")
    return f'{shlex.join([*argv, *quiet]).replace("%", "%%")} archive-get %f "%p"'


def read_only(aim: Aim) -> Aim:
    return replace(aim, promote=False)
