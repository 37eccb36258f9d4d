"""Look at a cluster as far as its backups go: the server, the files of pgBackRest, the repositories."""

import os
import pwd
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from dbops import process
from dbops.config.load import resolve
from dbops.config.model import Cluster, Config
from dbops.errors import ConfigInvalid, DbopsError, Refused
from dbops.operations.clusters.init.facts import Conf, Facts, File, Options, Pass, Repository, Server, Wanted
from dbops.stores import pgbackrest, postgres
from dbops.stores.pgbackrest import configuration, halves
from dbops.stores.postgres import Connection

DEFAULTS = (Path("/etc/pgbackrest/pgbackrest.conf"), Path("/etc/pgbackrest.conf"))  # as pgBackRest looks for them
_FOLDER = Path("/var/spool/pgbackrest")
_TOOL_FOLDERS = {"log-path": Path("/var/log/pgbackrest"), "spool-path": _FOLDER}
_HINT = "install it: apt install pgbackrest"
_DEBIAN = re.compile(r"/etc/postgresql/([\d.]+)/([^/]+)/postgresql\.conf")
_UNIT = re.compile(r"/([^/]*(?:postgres|pgsql)[^/]*\.service)$", re.MULTILINE)

_SERVER = """
    SELECT current_setting('server_version_num')::int AS version, (pg_control_system()).system_identifier AS system_id,
           current_setting('data_directory') AS data_directory, current_setting('config_file') AS config_file,
           split_part(current_setting('unix_socket_directories'), ',', 1) AS socket_directory,
           current_setting('port')::int AS port, current_user AS "user", pg_is_in_recovery() AS standby,
           (SELECT array_agg(name) FROM pg_settings WHERE pending_restart) AS pending,
           (SELECT jsonb_object_agg(name, reset_val) FROM pg_settings WHERE name LIKE 'archive\\_%'
                OR name IN ('wal_level', 'data_checksums')) AS settings,
           last_archived_time, last_failed_time, last_failed_wal
      FROM pg_stat_archiver"""


def server(connection: Connection) -> Server:
    """Ask the server; `reset_val` tells the command that `SHOW` hides while archiving is off."""
    row = postgres.record(connection, _SERVER)
    settings: dict[str, str] = row["settings"]
    return Server(
        version=row["version"],
        system_id=row["system_id"],
        data_directory=row["data_directory"],
        config_file=row["config_file"],
        socket_directory=row["socket_directory"].strip(),
        port=row["port"],
        user=row["user"],
        archive_mode=settings["archive_mode"],
        archive_command=settings["archive_command"] or "",
        archive_library=settings.get("archive_library") or "",
        archive_timeout=timedelta(seconds=int(settings["archive_timeout"])),
        wal_level=settings["wal_level"],
        checksums=settings["data_checksums"] == "on",
        pending=frozenset(row["pending"] or ()),
        standby=row["standby"],
        archived=row["last_archived_time"],
        failed=row["last_failed_time"],
        failed_wal=row["last_failed_wal"],
    )


def wanted(place: Cluster, target: str) -> Wanted:
    if place.stanza is None:
        raise ConfigInvalid("the cluster has no stanza", hint=f'set [cluster.{target}] stanza = "..."', target=target)
    repositories: list[tuple[int, tuple[tuple[str, str], ...]]] = []
    for key, one in sorted(place.repository.items(), key=lambda item: int(item[0])):
        path = {"path": str(one.path)} if one.path is not None else {}
        repositories.append((int(key), tuple((path | one.options).items())))
    return Wanted(
        place.stanza,
        tuple(repositories),
        frozenset(int(key) for key, one in place.repository.items() if one.cipher is not None),
        place.objectives.rpo,
        place.backup.diff,
        place.objectives.backup_age,
        place.backup.keep,
    )


# ── Who ──────────────────────────────────────────────────────────────────────────────────────────


def account(place: Cluster, data_directory: Path | None, target: str) -> str | None:
    """Name who owns the cluster and has to run pgBackRest; refuse what would leave files nobody can read."""
    owner = _owner(data_directory, target) if data_directory is not None else None
    if owner is not None and place.run_as not in (None, owner):
        raise Refused(
            f"the data directory {data_directory} belongs to {owner}, and run_as names {place.run_as}",
            hint=f'[cluster.{target}] run_as = "{owner}"',
            target=target,
        )
    named = owner or place.run_as
    if named is not None and os.geteuid() not in (0, process.account(named).pw_uid):
        raise Refused(
            f"backups of {target} are the business of the account {named}, and this is {process.current_user()}",
            hint=f"run dbops as {named} or as root",
            target=target,
        )
    return named


def _owner(data_directory: Path, target: str) -> str:
    try:
        uid = data_directory.stat().st_uid
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise Refused(f"nobody has the number that {data_directory} belongs to", target=target) from None
    except PermissionError:
        raise Refused(
            f"this account, {process.current_user()}, may not look at the data directory {data_directory}",
            hint="run dbops as the account that owns it, or as root",
            target=target,
        ) from None
    except OSError:
        raise Refused(
            f"the data directory {data_directory} is not on this host",
            hint="run this on the host of the server: the archiver runs there, and its configuration belongs there",
            target=target,
        ) from None


# ── The configuration ────────────────────────────────────────────────────────────────────────────


def place_of(place: Cluster) -> Path:
    """Tell which file pgBackRest reads."""
    if place.pgbackrest_config is not None:
        return place.pgbackrest_config
    return next((path for path in DEFAULTS if path.exists()), DEFAULTS[0])


def include_of(place: Cluster) -> Path:
    """Tell where secrets go: a folder that is read along, by default or because the archive_command names it."""
    main = place_of(place)
    folder = DEFAULTS[0].parent / "conf.d" if place.pgbackrest_config is None else main.with_name(f"{main.name}.d")
    return folder / f"dbops-{place.stanza}.conf"


def conf(config: Config, place: Cluster, target: str, who: str | None) -> Conf:
    main, include = place_of(place), include_of(place)
    files = [_file(path, who) for path in (main, include)]
    paths = [main, *(sorted(include.parent.glob("*.conf")) if files[1].readable and include.parent.is_dir() else ())]
    texts = [_text(path) for path in paths]
    sections = configuration.parse("\n".join(texts))
    return Conf(
        files[0],
        files[1],
        tuple(Options(one.name, one.options) for one in configuration.redacted(sections)),
        given=place.pgbackrest_config is not None,
        passes=_passes(place, target, configuration.parse(texts[0]), sections),
        foreign=_foreign(config, place, sections, target) if files[0].exists else (),
        writable_defaults=frozenset(
            name for name, path in _TOOL_FOLDERS.items() if place.pgbackrest_config is None and _may_write(path, who)
        ),
        folder=str(_FOLDER if place.pgbackrest_config is None else main.parent),
    )


def _file(path: Path, who: str | None) -> File:
    try:
        told = path.stat()
    except PermissionError:
        return File(str(path), exists=True, readable=False, by_account=False)
    except OSError:
        return File(str(path), exists=False)
    mode = told.st_mode
    return File(
        str(path),
        exists=True,
        readable=os.access(path, os.R_OK),
        by_account=_allows(told, who, stat.S_IRUSR),
        by_others=bool(mode & stat.S_IROTH),
    )


def _allows(told: os.stat_result, who: str | None, right: int) -> bool:
    """Tell whether an account has a right of the owner's triple, or the same one of group or others."""
    if who is None:
        return True
    passwd = process.account(who)
    if passwd.pw_uid == told.st_uid:
        return bool(told.st_mode & right)
    if told.st_gid in os.getgrouplist(who, passwd.pw_gid):
        return bool(told.st_mode & right >> 3)
    return bool(told.st_mode & right >> 6)


def _may_write(path: Path, who: str | None) -> bool:
    try:
        return _allows(path.stat(), who, stat.S_IWUSR)
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _passes(
    place: Cluster, target: str, main: Sequence[configuration.Section], whole: Sequence[configuration.Section]
) -> tuple[tuple[int, Pass], ...]:
    """Compare the passes that the archiver finds with those that are referred to; no value leaves this function."""
    found: list[tuple[int, Pass]] = []
    for key, one in sorted(place.repository.items()):
        if one.cipher is not None:
            name, secret = f"repo{key}-cipher-pass", resolve(one.cipher, target=target)
            own = configuration.effective(main, place.stanza or "", name)
            told = configuration.effective(whole, place.stanza or "", name)
            known = Pass.RIGHT if told == secret else Pass.MISSING if told is None else Pass.OTHER
            found.append((int(key), Pass.CLASHES if own not in (None, secret) else known))
    return tuple(found)


def _foreign(config: Config, place: Cluster, sections: Sequence[configuration.Section], target: str) -> tuple[str, ...]:
    """Name the sections whose stanza neither the platform nor a repository knows."""
    known = {one.stanza for one in config.cluster.values()}
    strange = {one.stanza for one in sections if one.stanza is not None} - known
    if strange:
        try:
            done = pgbackrest.run(
                place, "repo-ls", "--log-level-console=off", "backup", target=target, connects=False, timeout=60
            )
            strange -= set(done.out.decode("utf-8", "replace").split())
        except DbopsError:
            return ()  # the repository's own finding tells why; a name that cannot be looked up accuses nobody
    return tuple(sorted(strange))


# ── The repositories ─────────────────────────────────────────────────────────────────────────────


def repositories(place: Cluster, facts: Facts) -> tuple[Repository, ...]:
    """Ask each repository of the configuration, also those that pgBackRest's own does not name yet."""
    if not facts.keys:
        return ()
    extra = {
        f"PGBACKREST_REPO{key}_{name.upper().replace('-', '_')}": value
        for key, wanted in facts.wanted.repositories
        for name, value in _with_cipher(facts, key, wanted)
        if facts.option(f"repo{key}-{name}") is None
    }
    asking, options = place, ["--output=json", "--log-level-console=off"]
    if not facts.conf.main.exists:
        asking, options = place.model_copy(update={"pgbackrest_config": None}), ["--no-config", *options]
    try:
        done = pgbackrest.run(asking, "info", *options, target=facts.target, connects=False, env=extra, timeout=120)
        told = pgbackrest.parse_info(done.out)
    except DbopsError as error:
        first = error.message.splitlines()[0]
        return tuple(Repository(key, created=False, unread=first) for key in facts.keys)
    stanza = next((one for one in told if one.name == facts.wanted.stanza), None)
    return tuple(_repository(facts, key, stanza) for key in facts.keys)


def _with_cipher(facts: Facts, key: int, wanted: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return (*wanted, ("cipher-type", "aes-256-cbc")) if key in facts.wanted.ciphers else wanted


def _repository(facts: Facts, key: int, told: pgbackrest.StanzaInfo | None) -> Repository:
    path = local_path(facts, key)
    if path is not None and halves.is_half(path, facts.wanted.stanza):
        return Repository(key, created=False, half=True)
    status = next((one for one in told.repositories if one.key == key), None) if told is not None else None
    if told is None or status is None:
        return Repository(key, created=False)
    if status.status not in (pgbackrest.OK, pgbackrest.NO_BACKUPS):
        missing = status.status == pgbackrest.MISSING_PATH
        return Repository(key, created=False, unread=None if missing else status.message)
    now = max((one for one in told.databases if one.repository == key), key=lambda one: one.id, default=None)
    return Repository(
        key,
        created=True,
        encrypted=status.cipher != "none",
        system_id=now.system_id if now is not None else None,
        version=now.version if now is not None else None,
        backups=sum((one.repository, one.database_id) == (key, now.id if now else 0) for one in told.backups),
    )


def local_path(facts: Facts, key: int) -> Path | None:
    """Return the folder of a repository on this host; None where it lies elsewhere, or cannot be entered."""
    wanted = dict(dict(facts.wanted.repositories).get(key, ()))
    elsewhere = facts.option(f"repo{key}-host") or wanted.get("host")
    kind = facts.option(f"repo{key}-type") or wanted.get("type") or "posix"
    path = facts.option(f"repo{key}-path") or wanted.get("path")
    if elsewhere or kind != "posix" or path is None or not os.access(path, os.R_OK | os.X_OK):
        return None
    return Path(path)


# ── Restarting ───────────────────────────────────────────────────────────────────────────────────


def restart(there: Server) -> tuple[str, ...]:
    """Tell how this server is restarted by the one who starts it; nothing where that is not known."""
    if debian := _DEBIAN.fullmatch(there.config_file):
        return ("pg_ctlcluster", debian[1], debian[2], "restart")
    try:
        lines = (Path(there.data_directory) / "postmaster.pid").read_text(errors="replace").splitlines()
        postmaster = Path("/proc") / lines[0].strip()
        if unit := _UNIT.search((postmaster / "cgroup").read_text(errors="replace")):
            return ("systemctl", "restart", unit[1])
        log = (postmaster / "fd" / "2").readlink()
        if not log.is_file():
            return ()
    except (OSError, IndexError):
        return ()
    folder = Path(f"/usr/lib/postgresql/{there.major}/bin")
    try:
        program = process.find("pg_ctl", folder)
    except DbopsError:
        return ()
    return (str(program), "-D", there.data_directory, "-m", "fast", "-w", "-l", str(log), "restart")


def observe(
    config: Config,
    target: str,
    place: Cluster,
    there: Server | None,
    *,
    who: str | None,
    unreachable: str | None = None,
) -> Facts:
    """Put together what the server said and what lies on this host."""
    facts = Facts(
        target,
        wanted(place, target),
        who,
        len(os.sched_getaffinity(0)),
        there,
        conf(config, place, target, who),
        (),
        str(process.find("pgbackrest", hint=_HINT)),
        unreachable,
        restart(there) if there is not None else (),
    )
    return replace(facts, repositories=repositories(place, facts))
