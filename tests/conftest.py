"""Real servers for the tests, one of each per xdist worker. A missing server program fails, it never skips."""

import ctypes
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbops import redact
from dbops.engine.run import new as new_run
from dbops.sandbox import layout, ready
from dbops.servers import account, alive, sockets
from dbops.servers import postgres as pg
from dbops.servers import redis as rd

if TYPE_CHECKING:
    from expiring import Shelf
    from proving import Proving

Dbops = Callable[..., subprocess.CompletedProcess[str]]

_SEED = "DBOPS_SEED"
_PR_SET_CHILD_SUBREAPER = 36
_PASSWORD = "it's a \\ test"

hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=200)
hypothesis.settings.load_profile("ci" if "CI" in os.environ else "dev")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Orphans come to us, because process 1 of a container may reap none; they are told at the end.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    seed = os.environ.setdefault(_SEED, str(random.SystemRandom().randrange(2**32)))  # workers inherit it
    config.option.hypothesis_seed = seed
    random.seed(int(seed))


def pytest_report_header() -> str:
    return f"{_SEED}={os.environ[_SEED]} (set it to replay this run)"


@pytest.fixture(autouse=True)
def same_chances_for_each_test(request: pytest.FixtureRequest) -> None:
    """Seed by the test's name too: a test that runs alone meets the numbers that it met among others."""
    random.seed(f"{os.environ[_SEED]} {request.node.nodeid}")


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests() -> Generator[None]:
    """Forget what a test registered: four digits that one test calls a secret may stand in any text of the next."""
    known = redact._known  # pyright: ignore[reportPrivateUsage]
    before = set(known)
    yield
    known.intersection_update(before)


@pytest.fixture(scope="session")
def base() -> Generator[Path]:
    """A folder that the servers' account can enter; pytest's own tmp_path is closed on every level."""
    place = Path(tempfile.mkdtemp(prefix="dbt-", dir="/tmp"))
    place.chmod(0o711)
    monkeypatch = pytest.MonkeyPatch()

    def temporary(_socket_name: str) -> Path:
        return place

    monkeypatch.setattr(sockets, "_temporary", temporary)  # private socket folders go there too
    yield place
    monkeypatch.undo()
    _end_servers_of(place)
    shutil.rmtree(place)
    if _left:
        raise AssertionError(f"tests left servers running: {_left}")


_left: list[str] = []


def _end_servers_of(place: Path) -> None:
    """End what a test left running, and remember it: a test that passes leaves nothing."""

    def serves(argv: alive.Argv) -> bool:
        told = " ".join(argv)
        return str(place) in told and (Path(argv[0]).name in ("postgres", "redis-server") or ".emulators." in told)

    for pid in alive.serving(serves):
        _left.append(" ".join(alive.argv_of(pid)))
        alive.end(pid)


def fresh(base: Path, name: str) -> Path:
    """Name a folder for a fixture of a module: such a fixture is set up again when others' tests came in between."""
    return base / f"{name}-{uuid.uuid4().hex[:4]}"


@pytest.fixture
def folder(base: Path) -> Generator[Path]:
    """A fresh folder for one test, that the servers' account can enter."""
    place = base / uuid.uuid4().hex[:8]
    place.mkdir(mode=0o711)
    place.chmod(0o711)
    yield place
    _end_servers_of(place)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def server(base: Path) -> Generator[str]:
    """A PostgreSQL server (fsync off): the conninfo of its superuser."""
    with pg.running(pg.Server(base / "postgres", durable=False, wal_segment_mb=1), _PASSWORD) as live:
        yield pg.conninfo(live, password=_PASSWORD)


@pytest.fixture
def database(server: str) -> Generator[str]:
    """A fresh database: the conninfo of the superuser."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_conninfo(server, dbname=name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def stocked(base: Path) -> Generator["Shelf"]:
    """A cluster with nine backups in two repositories; whoever takes it resets it first."""
    import expiring

    with expiring.shelf(base / "stocked") as made:
        yield made


@pytest.fixture(scope="session")
def proven(base: Path) -> Generator["Proving"]:
    """A cluster with three whole backups in two repositories; whoever takes it resets it first."""
    import proving

    with proving.proving(base / "proven") as made:
        yield made


@pytest.fixture(scope="session")
def redis_server(base: Path) -> Generator[str]:
    """A Redis server: the URL of its socket, password included."""
    with rd.running(rd.Server(base / "redis", append_only=False), "test"):
        yield rd.url(rd.Server(base / "redis"), "test")


@pytest.fixture(scope="session")
def platform(base: Path) -> Generator[Path]:
    """A whole sandbox without schemas, shared by the tests of a worker: its folder, with dbops.toml in it."""
    with _sandbox(base / "platform") as folder:
        yield folder


@pytest.fixture(scope="session")
def schemas(base: Path) -> Generator[Path]:
    """Another one, for tests that bring schemas into it: who uses `platform` counts on its being empty."""
    with _sandbox(base / "schemas") as folder:
        yield folder


@contextmanager
def _sandbox(folder: Path) -> Generator[Path]:
    place = layout.at(folder, durable=False)
    run = new_run("tests", place.state)
    with ready.up(place.root, run, durable=False) as plan:
        for step in plan.plan.steps:
            plan.apply(step)
    yield place.root
    with ready.down(place.root, run, purge=True) as plan:
        for step in plan.plan.steps:
            plan.apply(step)


@pytest.fixture(scope="session")
def home(base: Path) -> Path:
    """The home of whoever starts dbops: nothing of the machine's user is read or written."""
    place = base / "home"
    place.mkdir()
    return place


@pytest.fixture
def dbops(base: Path, folder: Path, home: Path) -> Dbops:
    """Start the installed program: `dbops("status", "--output", "json", cwd=..., env={...})`."""
    program = Path(sys.executable).with_name("dbops")
    clean = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb"}
    clean["TMPDIR"] = str(base)
    if account.VARIABLE in os.environ:
        clean[account.VARIABLE] = os.environ[account.VARIABLE]

    def start(
        *args: str | Path,
        cwd: Path = folder,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *args],
            cwd=cwd,
            env=clean | dict(env or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return start


@pytest.fixture(scope="session")
def certificate(base: Path) -> tuple[Path, Path]:
    """A certificate for `localhost` that vouches for itself, and its key; the servers' account can read both."""
    cert, key = base / "server.crt", base / "server.key"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    fresh = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
    subprocess.run([*fresh, *names], check=True, capture_output=True)
    for file in (cert, key):
        account.give(file)
        file.chmod(0o600)
    return cert, key
