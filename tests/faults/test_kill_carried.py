"""kill -9 while the new columns get their indexes and constraints: the next run builds the rest, and nothing twice."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from dbops.operations.migrate import record
from dbops.operations.migrate.catalog import Catalog
from dbops.operations.migrate.life import State

import changing
import contracting
from killing import Zygote, kills, moment
from migrating import catalog_of

_CHAIN = 6
CHANGE = "users-full-name"
_HEAD = f"""
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.index import Index

change = "{CHANGE}"
phase = "expand"
impact = "none"
shape = Columns(
    table="public.users",
    old=("name",),
    new=(New("full_name", "text"),),
    up={{"full_name": "r.name"}},
    down={{"name": "r.full_name"}},
    carry=(
        Constraint("public.users", "users_full_name_key", "UNIQUE (full_name)"),
        Index("public.users", "users_full_name_lower", "(lower(full_name))", unique=True),
        Constraint("public.users", "users_full_name_check", "CHECK (full_name <> '')"),
        Constraint("public.badges", "badges_full_name_fkey", "FOREIGN KEY (name) REFERENCES public.users (full_name)"),
    ),
)
"""
Record = Callable[[str, object], None]
_MAKE = """def upgrade() -> None:
    op.execute("CREATE TABLE users (id int PRIMARY KEY, name text UNIQUE)")
    op.execute("CREATE TABLE badges (id int PRIMARY KEY, name text REFERENCES users (name))")


def downgrade() -> None: ...
"""
_CHANGE = """def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
"""
ROWS = 2000


def expanded(zygote: Zygote, live: changing.Example) -> None:
    live.revision(1, _MAKE)
    live.revision(2, _CHANGE, head=_HEAD)
    zygote.finished("migrate", "up", "--yes", "--config", live.toml)
    live.execute(f"INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, {ROWS}) n")
    live.execute("INSERT INTO badges SELECT id, name FROM users")


def words(live: changing.Example) -> tuple[str | Path, ...]:
    return ("migrate", "backfill", CHANGE, "-t", changing.TARGET, "--config", live.toml, "--lock-wait", "20s")


def whole(live: changing.Example, expected: Catalog) -> None:
    contracting.quiet(live)
    assert catalog_of(live.admin, comments=True) == expected
    assert live.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == []
    assert live.execute("SELECT sum(rows_seen) FROM dbops.jobs") == [(ROWS,)], "no row is filled twice"
    with live.connect() as connection:
        assert record.read(connection, target=changing.TARGET)[CHANGE].state is State.BACKFILLED


def test_what_is_built_behind_the_rows_is_whole_in_the_end_however_often_it_was_killed(
    server: str, folder: Path, zygote: Zygote, record_property: Record
) -> None:
    (folder / "clean").mkdir(mode=0o711)
    with changing.example(server, folder / "clean") as live:
        expanded(zygote, live)
        clean = zygote.finished(*words(live))
        expected = catalog_of(live.admin, comments=True)
        whole(live, expected)
    done = turns = 0
    while done < kills(18):
        place = folder / f"turn{turns}"
        place.mkdir(mode=0o711)
        with changing.example(server, place) as live:
            expanded(zygote, live)
            if turns == 0:
                cut_off_while_it_builds(live)
                done += 1
            for _ in range(_CHAIN):
                ended = zygote.run(*words(live), kill_after=moment(clean.seconds * 1.5))
                assert ended.killed or ended.code == 0, ended.err
                done += ended.killed
            zygote.finished(*words(live))
            whole(live, expected)
        turns += 1
    record_property("kills", f"migrate backfill behind its rows: {done} kills, a clean run takes {clean.seconds:.2f} s")


def cut_off_while_it_builds(live: changing.Example) -> None:
    """Kill it where half an index is there: the build waits for a transaction that writes."""
    with psycopg.connect(live.owner) as writer:
        writer.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        pipe = subprocess.DEVNULL
        with subprocess.Popen([Path(sys.executable).with_name("dbops"), *words(live)], stdout=pipe, stderr=pipe) as it:
            deadline = time.monotonic() + 60
            while live.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]:
                assert time.monotonic() < deadline, "nothing is built"
                assert it.poll() is None, "it ended"
                threading.Event().wait(0.01)
            it.kill()
