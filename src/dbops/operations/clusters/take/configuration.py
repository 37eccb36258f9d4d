"""What a bare host needs beside a backup: how the server, pgBackRest and dbops were set up, secrets by name only."""

import contextlib
import io
import os
import platform
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

import dbops
from dbops import process
from dbops.config.load import resolve
from dbops.config.model import Cluster, Config
from dbops.copies import artifact
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, DbopsError, Refused
from dbops.operations.clusters.take import roles, secrets_needed
from dbops.operations.clusters.take.observe import Settings, settings
from dbops.redact import MARK, redact
from dbops.stores import pgbackrest, postgres
from dbops.stores import vault as vaults
from dbops.stores.pgbackrest.configuration import is_secret
from dbops.stores.postgres import Connection

STORE, KIND = "cluster", "configuration"
TAR, FACTS, SECRETS = "configuration.tar", "facts.json", "secrets.json"
_LONGEST = 4 << 20  # of one file
_ABOUT = """
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
           (SELECT system_identifier::text FROM pg_control_system()) AS system_id,
           (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
           current_setting('data_directory') AS data_directory, current_setting('config_file') AS config_file,
           current_setting('hba_file') AS hba_file, current_setting('ident_file') AS ident_file,
           current_setting('wal_segment_size') AS wal_segment_size,
           current_setting('data_checksums') AS data_checksums, current_setting('block_size') AS block_size,
           current_setting('shared_preload_libraries') AS shared_preload_libraries"""
_INCLUDED = "SELECT DISTINCT sourcefile FROM pg_file_settings WHERE sourcefile IS NOT NULL ORDER BY 1"
_INCLUDED_HBA = """
    SELECT DISTINCT file_name FROM pg_hba_file_rules UNION SELECT DISTINCT file_name FROM pg_ident_file_mappings
     ORDER BY 1"""
_TABLESPACES = """
    SELECT spcname AS name, pg_get_userbyid(spcowner) AS owner, pg_tablespace_location(oid) AS location
      FROM pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1"""
_DATABASES = """
    SELECT datname AS name, pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding,
           datcollate AS collate, datctype AS ctype, datallowconn AND NOT datistemplate AS connects
      FROM pg_database ORDER BY 1"""
_EXTENSIONS = "SELECT extname, extversion FROM pg_extension ORDER BY 1"
# `primary_conninfo = 'host=a password=b'`, `ldapbindpasswd="c"`: a value that may be quoted for itself
_PASSWORDS = re.compile(r"(?i)((?:\w*passw(?:or)?d|radiussecrets)\s*=\s*)(\"[^\"]*\"|''(?:[^']|'''')*''|[^\s'\"]+)")


@dataclass(frozen=True, slots=True)
class Gathered:
    """All of it: files by the path that they had, and facts."""

    files: Mapping[str, bytes]
    facts: dict[str, Any]


def gather(config: Config, target: str, run: Run, toml: Path | None) -> Gathered:
    """Ask the server for its files and facts, and read those of pgBackRest and dbops here."""
    place = config.cluster[target]
    with postgres.connect(place, run, target=target) as connection:
        about = postgres.record(connection, _ABOUT)
        files = dict(_server_files(connection, about))
        made_again = roles.statements(connection)
        tablespaces, databases = _rows(connection, _TABLESPACES), _rows(connection, _DATABASES)
    for one in databases:
        one["extensions"] = _extensions(place, run, target, str(one["name"])) if one.pop("connects") else {}
    own = settings(place)
    files |= {str(path): _without_secrets(_read(path)) for path in own.files}
    if toml is not None:
        files[str(toml)] = _read(toml)  # it holds references by construction
    files["roles.sql"] = made_again.encode()
    facts = {
        "server": about,
        "tablespaces": tablespaces,
        "databases": databases,
        "repositories": _repositories(place, own),
        "stanza": place.stanza,
        "versions": {"dbops": dbops.__version__, "os": _system(), **_packages()},
    }
    return Gathered(files, facts)


def _rows(connection: Connection, query: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _server_files(connection: Connection, about: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Read what the server reads, through the server: its file system may not be ours."""
    names = [about["config_file"], about["hba_file"], about["ident_file"]]
    queries = (_INCLUDED, *((_INCLUDED_HBA,) if about["number"] >= 160_000 else ()))
    for query in queries:
        names += [one for row in _rows(connection, query) for one in row.values()]
    names.append(f"{about['data_directory']}/postgresql.auto.conf")
    for name in dict.fromkeys(str(each) for each in names if each):
        row = connection.execute("SELECT pg_read_binary_file(%s, 0, %s, true)", (name, _LONGEST)).fetchone()
        if row is not None and row[0] is not None:
            yield name, _without_passwords(bytes(row[0]))


def _without_passwords(data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    return redact(_PASSWORDS.sub(rf"\g<1>{MARK}", text)).encode("utf-8", "surrogateescape")


def _without_secrets(data: bytes) -> bytes:
    """Blank the values of pgBackRest's secret options, and keep every other line as it is."""
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    kept = [f"{name}={MARK}" if is_secret((name := line.partition("=")[0]).strip()) else line for line in lines]
    return "\n".join([*kept, ""]).encode("utf-8", "surrogateescape")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()[:_LONGEST]
    except OSError as error:
        return f"# it could not be read: {error.strerror}\n".encode()


def _extensions(place: Cluster, run: Run, target: str, database: str) -> dict[str, str]:
    with contextlib.suppress(DbopsError), postgres.connect(place, run, target=target, dbname=database) as connection:
        return {str(name): str(version) for name, version in connection.execute(_EXTENSIONS).fetchall()}
    return {"?": "could not be asked"}


def _repositories(place: Cluster, own: Settings) -> list[dict[str, Any]]:
    """Tell where each repository is and what kind of place, without its secrets."""
    keys = sorted({option.partition("-")[0][4:] for option in _options(own)} | set(place.repository))
    told: list[dict[str, Any]] = []
    for key in keys:
        options = {o: own.option(o) for o in _options(own) if o.startswith(f"repo{key}-") and not is_secret(o)}
        declared = place.repository.get(key)
        if declared is not None:
            options |= {f"repo{key}-{name}": v for name, v in declared.options.items() if not is_secret(f"-{name}")}
        told.append({"key": key, "options": options})
    return told


def _options(own: Settings) -> list[str]:
    names = (name for section in own.sections for name, _ in section.options)
    return list(dict.fromkeys(name for name in names if re.match(r"repo[1-9]\d*-", name)))


def _system() -> str:
    """Say it as `platform.platform()` does, which starts a program for it."""
    own = os.uname()
    return "-".join((own.sysname, own.release, own.machine, "with", *platform.libc_ver()))


def _packages() -> dict[str, str]:
    """List the packages of the server and its extensions, where dpkg knows them."""
    with contextlib.suppress(DbopsError):
        argv = [process.find("dpkg-query"), "-W", "-f=${Package} ${Version}\n", "postgresql*", "pgbackrest"]
        done = process.run(argv, timeout=10, ok=(0, 1))
        pairs = (line.split(" ", 1) for line in done.out.decode("utf-8", "replace").splitlines() if " " in line)
        return {name: version for name, version in pairs if version}
    return {}


# ── In the vault ─────────────────────────────────────────────────────────────────────────────────


def keep(config: Config, target: str, run: Run, backup: pgbackrest.BackupInfo, found: Gathered) -> str:
    """Write the artifact that belongs to a backup; return its folder."""
    if config.vault is None:
        raise Refused("there is no vault for the configuration", target=target)
    server = found.facts["server"]
    source = f"{server['system_id']}/{backup.repository}/{backup.label}"
    subject = artifact.Subject(STORE, target, KIND, source, backup.stopped)
    secrets = secrets_needed.needed(config, target)
    parts: dict[str, bytes] = {
        TAR: tar(found.files, int(backup.stopped.timestamp())),
        FACTS: orjson.dumps(found.facts, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS),
        SECRETS: orjson.dumps(secrets_needed.document(secrets), option=orjson.OPT_INDENT_2),
    }
    store = vaults.connect(config.vault, target="vault")
    with artifact.write(store, subject, run=run.id, recipients=config.vault.recipients) as writer:
        for name, data in parts.items():
            if name not in writer.done:
                with writer.file(name) as sink:
                    sink.write(data)
        writer.finish(
            counts={"files": len(found.files)},
            digest=_digest(found.files),
            store_version=str(server["version"]),
            extra={
                "label": backup.label,
                "repository": backup.repository,
                "stanza": found.facts["stanza"],
                "system_id": server["system_id"],
                "timeline": server["timeline"],
                "repositories": found.facts["repositories"],
            },
        )
        return writer.folder.rstrip("/")


def _digest(files: Mapping[str, bytes]) -> str:
    """Say with few letters whether anything has changed since another artifact."""
    whole = sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{len(files[name])}\0".encode("utf-8", "surrogateescape"))
        whole.update(files[name])
    return whole.hexdigest()


def tar(files: Mapping[str, bytes], moment: int) -> bytes:
    """Put files into one archive that plain tools can read; their paths are kept without the leading slash."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mtime, entry.mode = len(files[name]), moment, 0o600
            archive.addfile(entry, io.BytesIO(files[name]))
    return whole.getvalue()


@dataclass(frozen=True, slots=True)
class Kept:
    """A configuration as it was kept: files by their path (without the leading slash), facts, secrets by name."""

    folder: str
    label: str
    files: Mapping[str, bytes]
    facts: dict[str, Any]
    secrets: list[dict[str, str]]


def recall(config: Config, target: str, *, label: str | None = None) -> Kept | None:
    """Read the configuration that belongs to a backup (default: the newest); None when there is none."""
    if config.vault is None:
        return None
    store = vaults.connect(config.vault, target="vault")
    found = [
        one
        for one in artifact.listing(store, f"{STORE}/{target}/")
        if isinstance(one, artifact.Artifact) and one.address.kind == KIND
    ]
    chosen = [one for one in found if label is None or one.manifest.extra.get("label") == label]
    if not chosen:
        return None
    newest = max(chosen, key=lambda one: one.address.instant)
    secret = config.vault.identity
    identity = None if secret is None else resolve(secret, target="vault")

    def content(name: str) -> bytes:
        return b"".join(artifact.read(store, newest, name, identity=identity))

    return _opened(newest, content)


def _opened(found: artifact.Artifact, content: Callable[[str], bytes]) -> Kept:
    try:
        with tarfile.open(fileobj=io.BytesIO(content(TAR))) as archive:
            entries = {one.name: archive.extractfile(one) for one in archive.getmembers()}
            files = {name: entry.read() for name, entry in entries.items() if entry is not None}
        facts, secrets = orjson.loads(content(FACTS)), orjson.loads(content(SECRETS))
    except (tarfile.TarError, ValueError) as error:
        raise CouldNotVerify(f"{found.address.folder} cannot be read: {error}") from error
    return Kept(found.address.folder.rstrip("/"), str(found.manifest.extra.get("label", "")), files, facts, secrets)
