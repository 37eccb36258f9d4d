"""What a contraction has to know of the cluster's backups: collected here, judged by `migrate`."""

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped
from dbops.operations.migrate.contract.facts import Backups
from dbops.stores import pgbackrest, postgres

_ARCHIVER = """
    SELECT current_setting('archive_mode') AS mode, last_archived_time, last_failed_time FROM pg_stat_archiver"""


def backups(config: Config, target: str, run: Run) -> Backups:
    """Look at the backups of the cluster that a database is in; what cannot be looked at is told as that."""
    name = config.postgres[target].cluster
    place = config.cluster[name]
    if place.stanza is None:
        return Backups(problem=f"no backup of cluster {name} is configured")
    try:
        newest = pgbackrest.newest(pgbackrest.info(place, target=name))
        with postgres.connect(place, run, target=name) as connection:
            row = postgres.record(connection, _ARCHIVER)
    except Stopped:
        raise
    except DbopsError as error:
        return Backups(problem=f"the backups of cluster {name} could not be looked at: {error.message}")
    return Backups(newest, archiving=_archiving(row))


def _archiving(row: dict[str, object]) -> str | None:
    archived, failed = row["last_archived_time"], row["last_failed_time"]
    if row["mode"] == "off":
        return "WAL is not archived: archive_mode is off"
    if failed is not None and (archived is None or str(failed) > str(archived)):
        return "WAL is not being archived: the last attempt failed"
    return None
