"""A change whose expand was run, without the time that running it takes; and backfills of it in this process."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from dbops.engine import clock, journal
from dbops.engine.finding import Finding
from dbops.engine.plan import Plan
from dbops.engine.run import Progress, execute
from dbops.operations.migrate import ready as migrations
from dbops.operations.migrate import record
from dbops.operations.migrate.backfill import ready
from dbops.operations.migrate.backfill.facts import Wanted
from dbops.operations.migrate.backfill.meter import OnProgress
from dbops.operations.migrate.backfill.plan import Action
from dbops.operations.migrate.life import Life, State
from dbops.stores import ledger

import changing

CHANGE = "things-b"
_SHAPE = """
from dbops.operations.migrate.shapes.shape import Do, Filling, OldNames


class Shape:
    table = {table!r}
    def expand(self, change): return ()
    def undo(self, change): return ()
    def filling(self): return Filling({table!r}, {statement!r}, {writes!r})
    def comparisons(self): return ()
    def swap(self, change): return ()
    def swap_back(self, change): return ()
    def contract(self, change): return ()
    def old_names(self): return OldNames({table!r}, ("a",))


shape = Shape()
change = "things-b"
phase = "expand"
impact = "none"
"""
FILL = "UPDATE things AS r SET b = (upper(r.a)) WHERE {rows} AND r.b IS DISTINCT FROM (upper(r.a))"


@dataclass
class Change:
    """A change in a database of its own, ready to be filled."""

    live: changing.Example
    id: str = CHANGE
    told: list[Progress] = field(default_factory=list[Progress])

    def fill(self, *, on_progress: OnProgress | None = None, **wanted: Any) -> list[Finding]:
        """Run `migrate backfill`; return what it came upon."""
        run = self.live.run("migrate backfill")
        opening = ready.backfill(
            self.live.config,
            self.live.toml,
            changing.TARGET,
            run,
            clock.now(),
            change=self.id,
            wanted=Wanted(**wanted),
            on_progress=on_progress or self.told.append,
        )
        with opening as one:
            facts = {"command": run.command, "actor": run.actor, "host": "here", "pid": "1", "environment": "test"}
            with journal.opened(run.state_dir, run.id, changing.TARGET, **facts) as log:
                execute(one, log, self.told.append)
        return [*one.findings, *one.met]

    def steps(self, **wanted: Any) -> list[str]:
        """What is planned, and not done."""
        return [step.id for step in self.planned(**wanted).steps]

    def notes(self, **wanted: Any) -> tuple[str, ...]:
        """What is told before it is agreed to."""
        return self.planned(**wanted).steps[-1].notes

    def planned(self, **wanted: Any) -> Plan[Action]:
        run = self.live.run("migrate backfill")
        with ready.backfill(
            self.live.config,
            self.live.toml,
            changing.TARGET,
            run,
            clock.now(),
            change=self.id,
            wanted=Wanted(**wanted),
            on_progress=self.told.append,
        ) as one:
            return one.plan

    def control(self, **wanted: Any) -> None:
        with ready.control(
            self.live.config,
            self.live.toml,
            changing.TARGET,
            self.live.run(),
            clock.now(),
            change=self.id,
            wanted=ready.Control(**wanted),
        ) as one:
            for step in one.plan.steps:
                one.apply(step)

    @property
    def life(self) -> Life:
        with self.live.connect() as connection:
            return record.read(connection, target=changing.TARGET)[self.id]

    def jobs(self, columns: str) -> list[tuple[Any, ...]]:
        """What the ledger tells of all parts together, or of each."""
        return self.live.execute(f"SELECT {columns} FROM dbops.jobs")

    def ask(self, text: str) -> Any:
        """The one value that a query yields."""
        ((value,),) = self.live.execute(text)
        return value


@contextmanager
def change(
    server: str, folder: Path, tables: str, *, statement: str = FILL, table: str = "things", writes: str | None = None
) -> Generator[Change]:
    """Make the database with its tables, its ledger, and a stamp behind the expand revision of the change."""
    with changing.example(server, folder) as live:
        live.execute(tables)
        text = _SHAPE.format(table=table, statement=statement, writes=writes or table)
        body = "def upgrade() -> None: ...\n\n\ndef downgrade() -> None: ...\n"
        revision = live.revision(1, body, head=text)
        live.execute("CREATE TABLE public.alembic_version (version_num text PRIMARY KEY)")
        live.execute(f"INSERT INTO public.alembic_version VALUES ('{revision}')")
        with psycopg.connect(live.owner, autocommit=True) as owner:
            with psycopg.connect(live.admin, autocommit=True) as admin:
                ledger.apply(admin, ledger.install(None, owner=owner.info.user), target=changing.TARGET)
            evidence = {"revision": revision}
            run = live.run()
            record.write(owner, run, target=changing.TARGET, change=CHANGE, state=State.EXPANDED, evidence=evidence)
        yield Change(live)


NONE = timedelta(0)
_RENAME = """
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.columns import Columns, New

change = "users-full-name"
phase = "expand"
impact = "clients may use full_name"
shape = Columns(
    table="public.users",
    old=("name",),
    new=(New("full_name", "text", not_null=True),),
    up={"full_name": "upper(r.name)"},
    down={"name": "r.full_name"},
    lossy=True,
)
"""


@contextmanager
def renamed(server: str, folder: Path, rows: int) -> Generator[Change]:
    """Make a table `users` whose column `name` becomes `full_name`: `migrate up` was run, with triggers both ways."""
    with changing.example(server, folder) as live:
        tables = "CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', visits int DEFAULT 0)"
        live.revision(1, f"def upgrade() -> None:\n    op.execute({tables!r})\n\n\ndef downgrade() -> None: ...\n")
        body = "def upgrade() -> None:\n    changes.expand(change, shape)\n\n\n"
        live.revision(2, body + "def downgrade() -> None:\n    changes.undo(change, shape)\n", head=_RENAME)
        _up(live, to="2026_01_01_0001")
        live.execute(f"INSERT INTO users (id, name) SELECT n, 'user ' || n FROM generate_series(1, {rows}) n")
        _up(live)
        yield Change(live, "users-full-name")


def _up(live: changing.Example, to: str | None = None) -> None:
    with migrations.up(live.config, live.toml, changing.TARGET, live.run(), clock.now(), to=to) as one:
        for step in one.plan.steps:
            one.apply(step)
