"""What is installed here: asked for first whenever something goes wrong."""

import platform

from dbops import __version__
from dbops.errors import DbopsError
from dbops.process import find, postgres_folders, run


def text() -> str:
    import psycopg

    libpq = psycopg.pq.version()
    lines = [
        f"dbops {__version__}",
        f"Python {platform.python_version()}",
        f"psycopg {psycopg.__version__} (libpq {libpq // 10000}.{libpq % 10000})",
    ]
    lines += [f"{title} {_version(name)}" for title, name in _PROGRAMS.items()]
    return "\n".join(lines)


_PROGRAMS = {"PostgreSQL": "postgres", "pgBackRest": "pgbackrest", "Redis": "redis-server"}


def _version(name: str) -> str:
    try:
        program = find(name, *postgres_folders())
        argument = "version" if name == "pgbackrest" else "--version"
        told = run([str(program), argument], timeout=10).out.decode(errors="replace").strip()
    except DbopsError as error:
        return f"not found ({error.message})"
    return f"{told} ({program})"
