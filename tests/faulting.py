"""What happens to a change while it is made: its server crashes, its sessions end, lines are cut, disks fill."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from dbops.operations.migrate import record
from dbops.operations.migrate.life import STATE
from dbops.servers import postgres as pg

import changing
import contracting
from killing import Ended, Zygote
from migrating import catalog_of

MARK = "tell-nobody"  # stands in rows of the tests' tables, and nowhere else may it ever stand
PASSWORD = "a test"
CHANGE = "users-full-name"
ROWS = 5000
RENAME = """Columns("public.users", (New("full_name", "text", not_null=True),), ("name",),
    up={"full_name": "r.name"}, down={"name": "r.full_name"})"""
GONE = "users-age-gone"
_UNLOOKED = contracting.through("soak", "statements", "clients", "backup", "rehearsal")
_README = Path(__file__).parents[1] / "README.md"
_TABLE = """
    CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, age text, note text);
    INSERT INTO users SELECT n, '{mark} ' || n, n % 100, '{mark}' FROM generate_series(1, {rows}) n"""
_BOTH = """def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
"""
_HEAD = """
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.dropped import Dropped
from dbops.operations.migrate.shapes.index import Index

change = {change!r}
phase = "expand"
impact = "none"
shape = {shape}
"""
_WITHIN_S = 60.0
_PROGRAM = """
import shutil, sys
from pathlib import Path
from dbops.servers import account, postgres as pg
home, port, disk = sys.argv[1:]
account.make_folder(Path(disk) / "space")
filler = Path(disk) / "filler"
with pg.running(pg.Server(Path(home), durable=False, wal_segment_mb=1, port=int(port)), "a test"):
    print("ready", flush=True)
    for line in sys.stdin:
        filler.unlink(missing_ok=True)
        if line.strip():
            filler.write_bytes(bytes(shutil.disk_usage(disk).free - int(line)))
        print("done", flush=True)
"""


@dataclass(frozen=True)
class Ground:
    """A server that may crash; its tablespace `small` lies on a disk of its own, of a few megabytes."""

    conninfo: str
    port: int
    _process: subprocess.Popen[str]

    def leave(self, size: int | None) -> None:
        """Fill the disk up to so many bytes; None makes room again."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{'' if size is None else size}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def ground(folder: Path, port: int) -> Generator[Ground]:
    """Start it in a mount namespace of its own: nobody else sees the disk."""
    disk, home = folder / "disk", folder / "postgres"
    disk.mkdir(mode=0o711)
    mount = f"mount -t tmpfs -o size=24m,mode=0711 none {shlex.quote(str(disk))}"
    program = shlex.join([sys.executable, "-c", _PROGRAM, str(home), str(port), str(disk)])
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    pipe = subprocess.PIPE
    argv = [*alone, "sh", "-c", f"{mount} && exec {program}"]
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        conninfo = pg.conninfo(pg.Server(home, port=port), password=PASSWORD)
        with psycopg.connect(conninfo, autocommit=True) as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}/space'".encode())
            admin.execute("GRANT CREATE ON TABLESPACE small TO PUBLIC")
        yield Ground(conninfo, port, process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


@dataclass
class Met:
    """A run that waits: who holds it up, the backend that waits, and how it ended."""

    holder: psycopg.Connection[Any]
    backend: int
    ended: Ended | None = None

    @property
    def code(self) -> int:
        assert self.ended is not None
        return self.ended.code


@dataclass
class Case:
    """A change that is made by the program, verb by verb; what it says is kept."""

    live: changing.Example
    zygote: Zygote
    said: list[str] = field(default_factory=list[str])

    def write(self, shape: str, *, number: int = 1, change: str = CHANGE) -> None:
        """Write the revision of a change, told as Python."""
        self.live.revision(number, _BOTH, head=_HEAD.format(change=change, shape=shape))

    def words(self, verb: str, *more: str, toml: Path | None = None) -> tuple[str | Path, ...]:
        own = more[:1] == (GONE,)
        named = () if verb == "up" else ("-t", changing.TARGET, *(() if own else (CHANGE,)))
        agreed = () if verb in {"backfill", "verify"} or "--write" in more else ("--yes",)
        lost = ("--confirm", changing.TARGET) if verb == "up" else ()  # the last revision drops a column for good
        config = ("--config", toml or self.live.toml, "--lock-wait", "20s", "-o", "json")
        return ("migrate", verb, *named, *agreed, *lost, *more, *config)

    def run(self, verb: str, *more: str, toml: Path | None = None, kill_after: float | None = None) -> Ended:
        ended = self.zygote.run(*self.words(verb, *more, toml=toml), kill_after=kill_after)
        self.said += [ended.out, ended.err]
        assert "Traceback" not in ended.err, ended.err
        return ended

    def done(self, verb: str, *more: str) -> float:
        """Run it to its end, which must be good; return how long it took."""
        ended = self.run(verb, *more)
        assert ended.code in {0, 3}, f"{verb}: {ended.code}\n{ended.out}\n{ended.err}"
        return ended.seconds

    @contextmanager
    def waiting(self, verb: str, *more: str, toml: Path | None = None, lock: str) -> Generator[Met]:
        """Run a verb up to where it waits for a lock that another session holds."""
        with (
            ThreadPoolExecutor(1) as beside,
            psycopg.connect(self.live.admin, application_name="the shop") as holder,
        ):
            holder.execute(lock.encode())
            going = beside.submit(self.run, verb, *more, toml=toml)
            met = Met(holder, _waiter(self.live, lambda: not going.done()))
            try:
                yield met
            finally:
                with suppress(psycopg.OperationalError):  # the server has crashed
                    holder.rollback()
                met.ended = going.result(_WITHIN_S)

    def is_told_nowhere(self) -> None:
        """Look for what is in a row: in what was said, in the journals, in the ledger."""
        told = list(self.said)
        told += [file.read_text(errors="replace") for file in (self.live.folder / "state").rglob("*") if file.is_file()]
        tables = (
            "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'dbops'::regnamespace"
        )
        for (table,) in self.live.execute(tables, dsn=self.live.admin):
            told += [str(row) for row in self.live.execute(f"SELECT t::text FROM {table} t", dsn=self.live.admin)]
        assert len(told) > len(self.said)
        assert [one for one in told if MARK in one] == []


@contextmanager
def case(server: str, zygote: Zygote, folder: Path) -> Generator[Case]:
    """Make a table with rows; no revision changes it yet."""
    with changing.example(server, folder) as live:
        live.execute(_TABLE.format(mark=MARK, rows=ROWS))
        yield Case(live, zygote)


# The steps of two whole lives: verb, options, and what holds it up in the middle. None: time has to pass.
_USERS = "LOCK TABLE users IN SHARE MODE"
_READERS = "LOCK TABLE dbops.readers IN SHARE MODE"
_LEDGER = "LOCK TABLE dbops.entries IN SHARE MODE"
Step = tuple[tuple[str, ...], str | None] | None
STEPS: tuple[Step, ...] = (
    (("up", "--to", "2026_01_01_0001"), _USERS),
    (("up", "--to", "2026_01_01_0002"), "UPDATE users SET note = note WHERE id = 1"),
    (("up", "--to", "2026_01_01_0003"), _USERS),
    (("backfill",), "SELECT FROM users WHERE id = 3000 FOR UPDATE"),
    (("verify",), "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"),
    (("switch", "--percent", "25"), _READERS),
    (("switch",), _READERS),
    (("rollback",), _READERS),
    (("verify",), "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"),
    (("switch",), _READERS),
    (("contract", "--write", *_UNLOOKED), _LEDGER),
    (("contract", *_UNLOOKED), _USERS),
    (("verify", GONE), _LEDGER),
    (("switch", GONE), _READERS),
    (("contract", GONE, "--write", *_UNLOOKED), _LEDGER),
    (("contract", GONE, *_UNLOOKED), _USERS),
    None,
    (("contract", GONE, "--write"), None),
    (("up",), _USERS),
)


def write_lives(case: Case) -> None:
    """Write the revisions that the steps begin with: a rename, an index, a column that is to go in two stages."""
    case.write(RENAME)
    case.write('Index("public.users", "users_note", "(note)")', number=2, change="users-note")
    case.write('Dropped("public.users", ("age",), required={"age": None})', number=3, change=GONE)


def let_time_pass(case: Case) -> None:
    """Let what was put out of the way have been there for long."""
    case.live.execute(
        "DO $$ DECLARE c record; BEGIN FOR c IN SELECT attname, col_description(attrelid, attnum)::jsonb AS told"
        " FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname LIKE 'dbops_gone%' LOOP"
        " EXECUTE format('COMMENT ON COLUMN users.%I IS %L', c.attname,"
        " c.told || jsonb_build_object('since', now() - interval '30 days')); END LOOP; END $$"
    )


def advance(case: Case, step: Step) -> float:
    """Do one step to its end; return how long it took."""
    if step is None:
        let_time_pass(case)
        return 0.0
    contracting.quiet(case.live)
    return case.done(*step[0])


def outcome(case: Case) -> object:
    """Tell how a life has ended: the catalog, the rows, the states."""
    contracting.quiet(case.live)
    rows = case.live.execute("SELECT u::text FROM users u ORDER BY id", dsn=case.live.admin)
    catalog = catalog_of(case.live.admin, comments=True)
    told = {name: re.sub('"since": "[^"]*"', '"since": "then"', what) for name, what in catalog.items()}
    return told, rows, states(case.live)


class Rows:
    """The table of faults in README.md: what a test has seen has to stand there."""

    def __init__(self, record_property: Callable[[str, object], None]) -> None:
        self._record = record_property

    def add(self, fault: str, verb: str, ended: Ended, code: int, then: str) -> str:
        """Add a row; return what was said."""
        assert ended.code == code, f"{ended.code}\n{ended.out}\n{ended.err}"
        first = json.loads(ended.out)["findings"][0]
        self.add_row(fault, f"{verb}: exit {code}, {first['code']}", then)
        return f"{first['message']} ({first['hint']})"

    def add_row(self, *cells: str) -> None:
        row = f"| {' | '.join(cells)} |"
        self._record("change fault rows", row)
        assert row in _README.read_text(encoding="utf-8").splitlines(), row


def states(live: changing.Example) -> dict[str, list[str]]:
    """Tell what became of each change, in order; who was cut off may have said the same twice."""
    with live.connect() as connection:
        lives = record.read(connection, target=changing.TARGET)
    told: dict[str, list[str]] = {}
    for change, life in lives.items():
        every = [str(one.detail["state"]) for one in life.entries if one.kind == STATE]
        told[change] = [one for n, one in enumerate(every) if n == 0 or one != every[n - 1]]
    return told


def _waiter(live: changing.Example, still: Any) -> int:
    asked = (
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dbops %%'"
        " AND datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + _WITHIN_S
    with live.connect(live.admin) as connection:
        while (row := connection.execute(asked).fetchone()) is None:
            assert still(), "it ended, and waited for nobody"
            assert time.monotonic() < deadline, "it waits for nobody"
            threading.Event().wait(0.005)
    return int(row[0])


def crash(live: changing.Example, backend: int) -> None:
    """Kill a backend as the kernel would: the server ends all others, and recovers."""
    with live.connect(live.admin) as bystander, suppress(psycopg.OperationalError):
        os.kill(backend, signal.SIGKILL)
        while True:
            bystander.execute("SELECT 1")
    deadline = time.monotonic() + _WITHIN_S
    while True:
        try:
            live.connect(live.admin).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the server does not come back"
            threading.Event().wait(0.02)
        else:
            return


def end_sessions(live: changing.Example) -> None:
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dbops %'"
    live.execute(f"{ours} AND datname = current_database()", dsn=live.admin)


def through(live: changing.Example, port: int) -> Path:
    """Write a configuration whose lines go over TCP, through whoever listens on the port."""
    text = re.sub(r"host=\S+", "host=127.0.0.1", live.toml.read_text())
    file = live.folder / "through.toml"
    file.write_text(re.sub(r"port=\d+", f"port={port}", text))
    return file


def elsewhere(live: changing.Example) -> Path:
    """Write the configuration of another host: the same database, a state directory of its own."""
    file = live.folder / "elsewhere.toml"
    file.write_text(live.toml.read_text().replace('state_dir = "state"', 'state_dir = "state-of-another"'))
    return file
