"""A rename for tests of what comes after expand: users.name becomes users.full_name, and both are kept alike."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from alembic import command
from psycopg.conninfo import conninfo_to_dict

from dbops.engine.finding import exit_code
from dbops.engine.plan import Ready
from dbops.operations.migrate import environment, history, open_changes, record
from dbops.operations.migrate.compare import ready as verifying
from dbops.operations.migrate.compare.facts import Outcome
from dbops.operations.migrate.life import Life, State
from dbops.operations.migrate.switch import ready as switching
from dbops.stores import ledger

import changing

CHANGE = "users-full-name"
EXPAND = "2026_01_01_0002"

_SHAPE = '''
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.names import name
from dbops.operations.migrate.shapes.shape import Comparison, Do, Filling, OldNames

_BODY = """
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.full_name := coalesce(NEW.full_name, NEW.name);
        NEW.name := coalesce(NEW.name, NEW.full_name);
    ELSIF NEW.full_name IS DISTINCT FROM OLD.full_name THEN
        NEW.name := NEW.full_name;
    ELSE
        NEW.full_name := NEW.name;
    END IF;
    RETURN NEW;
END"""


class Shape:
    table = "public.users"

    def expand(self, change):
        it = name("dual", change, self.table)
        return (
            Do("ALTER TABLE public.users ADD COLUMN full_name text"),
            Do(f'CREATE FUNCTION public."{it}"() RETURNS trigger LANGUAGE plpgsql AS $body$ {_BODY} $body$'),
            Do(f'CREATE TRIGGER "{it}" BEFORE INSERT OR UPDATE ON public.users'
               f' FOR EACH ROW EXECUTE FUNCTION public."{it}"()'),
        )

    def undo(self, change):
        it = name("dual", change, self.table)
        return (
            Do(f'DROP TRIGGER "{it}" ON public.users'),
            Do(f'DROP FUNCTION public."{it}"()'),
            Do("ALTER TABLE public.users DROP COLUMN full_name"),
        )

    def filling(self):
        text = "UPDATE public.users AS r SET full_name = r.name WHERE {rows} AND r.full_name IS DISTINCT FROM r.name"
        return Filling("public.users", text, "public.users")

    def comparisons(self):
        text = "SELECT {key} FROM public.users AS r WHERE {rows} AND "
        return (
            Comparison("public.users", text + "r.full_name IS DISTINCT FROM UP"),
            Comparison("public.users", text + "r.name IS DISTINCT FROM DOWN", "back"),
        )

    def swap(self, change): return SWAP

    def swap_back(self, change): return SWAP_BACK

    def contract(self, change):
        return (*self.undo(change)[:2], Do("ALTER TABLE public.users DROP COLUMN name"))

    def old_names(self): return OldNames("public.users", ("name",))


shape = Shape()
change = "users-full-name"
impact = "users have a full name"
'''


def write(
    live: changing.Example, *, up: str = "r.name", down: str = "r.full_name", swap: str = "", swap_back: str = ""
) -> None:
    """Write the two revisions; `up` is what the comparison expects of full_name, `down` of name."""
    live.revision(
        1,
        "def upgrade() -> None:\n    op.execute('CREATE TABLE users (id int PRIMARY KEY, name text)')\n\n\n"
        "def downgrade() -> None:\n    op.execute('DROP TABLE users')\n",
    )
    moves = {"SWAP_BACK": swap_back, "SWAP": swap}
    head = _SHAPE.replace("FROM UP", f"FROM {up}").replace("FROM DOWN", f"FROM {down}")
    for word, text in moves.items():
        head = head.replace(f"return {word}\n", f"return {f'(Do({text!r}),)' if text else '()'}\n")
    live.revision(
        2,
        "def upgrade() -> None:\n    changes.expand(change, shape)\n\n\n"
        "def downgrade() -> None:\n    changes.undo(change, shape)\n",
        head=head + 'phase = "expand"\n',
    )


def contract(live: changing.Example, body: str) -> None:
    head = (live.history / f"{EXPAND}_revision.py").read_text(encoding="utf-8")
    shape = head[head.index("from dbops") : head.index("phase = ")]
    live.revision(3, body, head=f'{shape}phase = "contract"\n')


def upgrade(live: changing.Example, to: str = "head") -> None:
    """Do what `migrate up` does, within this process: the ledger, then the revisions."""
    run = live.run()
    owner = str(conninfo_to_dict(live.owner)["user"])
    with live.connect(live.admin) as admin:
        installing = ledger.install(ledger.observe(admin, target=changing.TARGET), owner=owner)
        ledger.apply(admin, installing, target=changing.TARGET)
    with environment.open_connection(live.owner, run) as connection:
        connection.info.update(dbops_run=run, dbops_target=changing.TARGET)
        config = history.alembic(live.folder / "migrations", changing.TARGET)
        config.attributes[environment.HELD] = connection
        command.upgrade(config, to)


Verb = Callable[..., AbstractContextManager[Ready[Any]]]


def act(live: changing.Example, verb: Verb, **options: Any) -> Ready[Any]:
    """Do what a verb plans, within this process; return its plan, and what it met."""
    run = live.run()
    with verb(live.config, live.toml, changing.TARGET, run, run.started, change=CHANGE, **options) as it:
        for step in it.plan.steps:
            it.guard()
            it.apply(step)
        return it


def verify(live: changing.Example, **options: Any) -> tuple[int, list[Outcome], Ready[Any]]:
    """Verify; return how the command would exit, and what was found."""
    told: list[Outcome] = []
    it = act(live, verifying.verify, told=told, **options)
    return exit_code([*it.findings, *it.met]), told, it


def switch(live: changing.Example, percent: int = 100, **options: Any) -> Ready[Any]:
    return act(live, switching.switch, percent=percent, **options)


def ids(it: Ready[Any]) -> list[str]:
    return [step.id for step in it.plan.steps]


def codes(it: Ready[Any]) -> set[str]:
    return {one.code for one in (*it.findings, *it.met)}


def rows(live: changing.Example, count: int) -> None:
    live.execute(f"INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, {count}) n")


def fill(live: changing.Example) -> None:
    """Do what a backfill does, and tell it in the ledger."""
    live.execute("UPDATE users SET full_name = name WHERE full_name IS DISTINCT FROM name")
    move(live, State.BACKFILLED)


def move(live: changing.Example, to: State) -> None:
    with live.connect() as connection:
        record.write(connection, live.run(), target=changing.TARGET, change=CHANGE, state=to, evidence={"by": "a test"})


def observed(live: changing.Example) -> open_changes.Change:
    return open_changes.one(open_changes.observe(live.config, live.toml, changing.TARGET, live.run()), CHANGE)


def known(live: changing.Example) -> Life:
    return observed(live).life
