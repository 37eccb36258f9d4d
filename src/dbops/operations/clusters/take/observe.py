"""Looking at a cluster before it is backed up: its repositories, its archiver, and what dead runs left."""

from dataclasses import dataclass
from pathlib import Path

from dbops.config.model import Cluster, Config
from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.operations.clusters.ahead import Ahead
from dbops.operations.clusters.reach import samples
from dbops.operations.clusters.take import orphans
from dbops.operations.clusters.take.facts import Archiver, Facts, Kind, Repository, Set
from dbops.stores import pgbackrest, postgres
from dbops.stores.pgbackrest import configuration

_USUAL = (Path("/etc/pgbackrest/pgbackrest.conf"), Path("/etc/pgbackrest.conf"))
_LOCKS = "/tmp/pgbackrest"  # noqa: S108  # where pgBackRest puts them by default
_ARCHIVER = """
    SELECT coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL) AS failing,
           last_failed_wal, last_failed_time,
           (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') AS segment_size
      FROM pg_stat_archiver"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What pgBackRest's own configuration says, as far as this account can read it."""

    files: tuple[Path, ...]
    sections: tuple[configuration.Section, ...]
    stanza: str

    def option(self, name: str) -> str | None:
        return configuration.effective(self.sections, self.stanza, name, "backup")

    @property
    def lock(self) -> Path:
        return Path(self.option("lock-path") or _LOCKS) / f"{self.stanza}-backup.lock"


def settings(place: Cluster) -> Settings:
    """Read the configuration file and those beside it; what cannot be read says nothing."""
    candidates = _USUAL if place.pgbackrest_config is None else (place.pgbackrest_config,)
    main = next((path for path in candidates if path.is_file()), None)
    files = () if main is None else (main, *sorted(_beside(main, place).glob("*.conf")))
    texts: list[tuple[Path, str]] = []
    for path in files:
        try:
            texts.append((path, path.read_text(encoding="utf-8", errors="replace")))
        except OSError:  # another account's: pgBackRest itself will read it
            continue
    sections = configuration.parse("\n".join(text for _, text in texts))
    return Settings(tuple(path for path, _ in texts), sections, place.stanza or "")


def _beside(main: Path, place: Cluster) -> Path:
    """Name the folder that is read along: by default, or because the archive_command names it."""
    return main.parent / "conf.d" if place.pgbackrest_config is None else main.with_name(f"{main.name}.d")


def observe(config: Config, target: str, run: Run) -> Facts:
    """Look at one cluster; its server has to answer."""
    place = config.cluster[target]
    looking = Ahead(lambda: _stanza(place, target), "stanza")
    with postgres.connect(place, run, target=target) as connection:
        told = postgres.record(connection, _ARCHIVER)
        if not run.plan_only:
            samples.note(run.state_dir, target, samples.of(postgres.record(connection, samples.POSITION)))
    dead = orphans.find(place)
    stanza = looking.answer()
    return Facts(
        target,
        stanza.name,
        _repositories(place, stanza),
        dead,
        stanza.backup_running,
        Archiver(bool(told["failing"]), told["last_failed_wal"], told["last_failed_time"]),
        vault=config.vault is not None,
        segment_size=told["segment_size"],
    )


def _stanza(place: Cluster, target: str) -> pgbackrest.StanzaInfo:
    hint = f"bring the cluster under backup: dbops backup init --target {target}"
    if place.pgbackrest_config is not None and not _may_be_there(place.pgbackrest_config):
        raise Refused(f"{place.pgbackrest_config} is not there", hint=hint, target=target)
    found = next((one for one in pgbackrest.info(place, target=target) if one.name == place.stanza), None)
    places = () if found is None else found.repositories
    if found is None or all(one.status in pgbackrest.NO_STANZA for one in places):
        raise Refused(f"no repository knows the stanza {place.stanza}", hint=hint, target=target)
    return found


def _may_be_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:  # closed to this account, not to the one that pgBackRest runs as
        return True
    return True


def running(place: Cluster, *, target: str) -> bool:
    """Ask whether somebody holds pgBackRest's lock."""
    return _stanza(place, target).backup_running


def _repositories(place: Cluster, stanza: pgbackrest.StanzaInfo) -> tuple[Repository, ...]:
    own = settings(place)
    return tuple(
        Repository(
            one.key,
            one.status,
            one.message,
            own.option(f"repo{one.key}-path"),
            tuple(_set(each) for each in stanza.backups if each.repository == one.key),
            _archive(stanza, one.key),
        )
        for one in stanza.repositories
    )


def _archive(stanza: pgbackrest.StanzaInfo, repository: int) -> str | None:
    own = [one for one in stanza.archives if one.repository == repository]
    return max(own, key=lambda one: one.database_id).id if own else None


def _set(one: pgbackrest.BackupInfo) -> Set:
    return Set(one.label, Kind(one.kind), one.stopped, one.prior, one.references, bad=bool(one.error))
