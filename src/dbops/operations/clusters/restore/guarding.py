"""Nothing that runs, and nothing that the configuration names, is ever restored into, in whatever disguise.

Names prove nothing: a link, a bind mount, another section with another host name or another stanza lead to the
same files. So files are compared by where they lie in their file system, and processes by what they have open.
"""

import os
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from dbops.config.load import resolve
from dbops.config.model import Cluster, Config
from dbops.errors import DbopsError, Refused
from dbops.operations.clusters.restore.mounts import Mount, Relation, Spot, parse, relation, spot
from dbops.servers import alive
from dbops.stores.pgbackrest import configuration

_CONF = Path("/etc/pgbackrest/pgbackrest.conf")  # Debian's; pgBackRest's own default
_LISTENS = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix
_HINT = "name a new folder that nothing uses: --to FOLDER"


@dataclass(frozen=True, slots=True)
class Protected:
    """A place that is not to be touched, and why."""

    path: Path
    what: str
    below_too: bool = True  # False: a place that others share, such as /tmp with a socket in it


def refuse_production(config: Config, path: Path, *, target: str, own: Collection[Path] = ()) -> None:
    """Refuse a folder that is, lies in, or contains what runs or what any section of the configuration names.

    `own` are places that are to be replaced: an in-place restore names its own, and nobody else's.
    """
    mounts = _mounts()
    mine = {_spot(each, mounts) for each in own}
    here = _spot(path, mounts)
    for one in (*_named(config), *_running(), *_listening()):
        there = _spot(one.path, mounts)
        if there in mine:
            continue
        how = relation(here, there) or _same(path, one.path)
        if how is not None and (one.below_too or how != "lies in"):
            raise Refused(f"{path} {how} {one.path}, {one.what}", hint=_HINT, target=target)
    _refuse_data_directory(path, target, mine, mounts)


def _refuse_data_directory(path: Path, target: str, mine: Collection[Spot], mounts: tuple[Mount, ...]) -> None:
    """Refuse what looks like a cluster that nobody has told us of; its server may run in another container."""
    real = path.resolve()
    for folder in (real, *real.parents):
        if _spot(folder, mounts) in mine:
            return
        held = (folder / "postmaster.pid").exists()
        if held or (folder != real and (folder / "PG_VERSION").exists() and (folder / "global").is_dir()):
            how = "is" if folder == real else "lies in"
            why = " that has a postmaster.pid" if held else ""
            raise Refused(f"{path} {how} a data directory of PostgreSQL{why}", hint=_HINT, target=target)


# ── What is named ────────────────────────────────────────────────────────────────────────────────


def _named(config: Config) -> Iterator[Protected]:
    for name, place in config.cluster.items():
        for data in data_directories(place):
            yield from _of_data(data, name)
        yield from _of_stanzas(place, name)
        yield from _sockets(place.dsn, name)
        for one in place.repository.values():
            if one.path is not None and one.options.get("type", "posix") in ("posix", "cifs"):
                yield Protected(one.path, f"the repository of {name}")
    for name, database in config.postgres.items():
        yield from _sockets(database.dsn, name)
    if config.vault is not None:
        for name, place in (("the vault", config.vault), *config.vault.copies.items()):
            yield from _vault(place.url, name)


def data_directories(place: Cluster) -> tuple[Path, ...]:
    """Name where a cluster keeps its data: as configured, and as its own stanza tells pgBackRest."""
    told = [] if place.data_directory is None else [place.data_directory]
    for section in _sections(place):
        if section.stanza is not None and section.stanza == place.stanza:
            told += [Path(value) for name, value in section.options if _is_data(name)]
    return tuple(dict.fromkeys(told))


def _is_data(option: str) -> bool:
    return option.startswith(("pg", "db")) and option.endswith("-path") and "socket" not in option


def _of_data(data: Path, name: str) -> Iterator[Protected]:
    """A cluster is more than its data directory: its WAL and its tablespaces may lie elsewhere."""
    yield Protected(data, f"the data directory of {name}")
    for link, what in outside(data):
        yield Protected(link.resolve(), f"{what} of {name}")


def outside(data: Path) -> list[tuple[Path, str]]:
    """List what of a data directory is a link to somewhere else."""
    found: list[tuple[Path, str]] = []
    with suppress(OSError):  # closed to us: then what is behind it is closed, too
        found += [(data / name, f"the {name}") for name in ("pg_wal", "log") if (data / name).is_symlink()]
        links = (link for link in (data / "pg_tblspc").iterdir() if link.is_symlink())
        found += [(link, f"tablespace {link.name}") for link in sorted(links)]
    return found


def _sections(place: Cluster) -> tuple[configuration.Section, ...]:
    path = place.pgbackrest_config or _CONF
    with suppress(OSError, UnicodeDecodeError):
        included = sorted((path.parent / "conf.d").glob("*.conf")) if place.pgbackrest_config is None else []
        return configuration.parse("\n".join(one.read_text(encoding="utf-8") for one in (path, *included)))
    return ()


def _of_stanzas(place: Cluster, name: str) -> Iterator[Protected]:
    """Every stanza of its pgBackRest is somebody's production, also those that dbops was not told of."""
    for section in _sections(place):
        for option, value in section.options:
            if not value.startswith("/"):
                continue
            if section.stanza is not None and _is_data(option):
                yield Protected(Path(value), f"the data directory of stanza {section.stanza}")
            elif option.startswith("repo") and option.endswith("-path"):
                kind = configuration.effective([section], section.name, option.replace("-path", "-type")) or "posix"
                if kind in ("posix", "cifs"):
                    yield Protected(Path(value), f"a repository of {name}")
            elif option in ("spool-path", "lock-path", "log-path"):
                yield Protected(Path(value), f"the {option} of {name}", below_too=False)


def _sockets(dsn: str, name: str) -> Generator[Protected]:
    with suppress(DbopsError, ProgrammingError):  # a secret that is not here, or no conninfo: no folder to protect
        for host in str(conninfo_to_dict(resolve(dsn, target=name)).get("host") or "").split(","):
            if host.startswith("/"):
                yield Protected(Path(host), f"where the socket of {name} is", below_too=False)


def _vault(url: str, name: str) -> Generator[Protected]:
    with suppress(DbopsError):
        told = urlsplit(resolve(url, target=name))
        if told.scheme == "file":
            yield Protected(Path(unquote(told.path)), f"a place of artifacts ({name})")


# ── What runs ────────────────────────────────────────────────────────────────────────────────────


def _running() -> Iterator[Protected]:
    """Every server of PostgreSQL works in its data directory, whatever its command line says, once it got there."""
    for pid in servers():
        place = Path(f"/proc/{pid}/cwd")
        with suppress(OSError):
            at = place.readlink()
            if not _may_be_data(place):
                if (named := _named_by(pid)) is not None:
                    yield Protected(named, f"where a server of PostgreSQL is starting (pid {pid})")
            elif at.exists() and at.samefile(place):
                yield Protected(at, f"where a server of PostgreSQL runs (pid {pid})")
            elif place.exists():  # in a container: it sees another tree, but the same files
                yield Protected(place, f"where a server of PostgreSQL runs in a container (pid {pid})")


def _may_be_data(place: Path) -> bool:
    try:
        (place / "PG_VERSION").stat()
    except FileNotFoundError:
        return False
    except OSError:  # closed to us
        return True
    return True


def _named_by(pid: int) -> Path | None:
    """Read from the command line of a server that has just been started where it is going to work."""
    argv = alive.argv_of(pid)
    told = next((argv[at + 1] for at, word in enumerate(argv[:-1]) if word == "-D"), None)
    return Path(told) if told is not None and told.startswith("/") else None


def servers() -> list[int]:
    """List the server processes of this host."""
    return alive.serving(lambda argv: Path(argv[0]).name in ("postgres", "postmaster"))


def _listening() -> Iterator[Protected]:
    """A folder with a socket that somebody listens on is in use."""
    with suppress(OSError):
        for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
            words = line.split(maxsplit=7)
            if len(words) == 8 and words[7].startswith("/") and int(words[3], 16) & _LISTENS:
                yield Protected(Path(words[7]).parent, f"where {Path(words[7]).name} listens", below_too=False)


# ── Where things really are ──────────────────────────────────────────────────────────────────────


def _mounts() -> tuple[Mount, ...]:
    with suppress(OSError):
        return parse(Path("/proc/self/mountinfo").read_text(errors="replace"))
    return ()


def _spot(path: Path, mounts: tuple[Mount, ...]) -> Spot:
    real = path.resolve()
    there = next(each for each in (real, *real.parents) if each.exists())
    number = there.stat().st_dev
    return spot(str(real), mounts, f"{os.major(number)}:{os.minor(number)}")


def _same(path: Path, other: Path) -> Relation | None:
    """Compare by identity, too: some file systems tell another device than their mount does."""
    identity = _identity(other)
    if identity is not None and identity in {_identity(each) for each in _up(path)}:
        return "is" if _identity(path) == identity else "lies in"
    mine = _identity(path)
    return "contains" if mine is not None and mine in {_identity(each) for each in _up(other)} else None


def _up(path: Path) -> Iterable[Path]:
    real = path.resolve()
    return (real, *(parent for parent in real.parents if parent != Path("/")))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
