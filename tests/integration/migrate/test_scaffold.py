"""What `migrate new` writes for each kind of change, looking into a live database; and what it refuses."""

from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dbops.engine.finding import Finding
from dbops.errors import Refused, UsageError
from dbops.operations.migrate.scaffold import ready
from dbops.operations.migrate.scaffold.facts import Wanted

import changing

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
_TABLES = """
    CREATE TYPE state AS ENUM ('queued', 'done');
    CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'it''s nobody', age varchar(3), email text,
                        state state NOT NULL DEFAULT 'queued',
                        upper text GENERATED ALWAYS AS (upper(name)) STORED);
    CREATE INDEX users_by_name ON users (name)"""


@pytest.fixture(scope="module")
def place(server: str, base: Path) -> Generator[changing.Example]:
    folder = base / "scaffold"
    folder.mkdir()
    with changing.example(server, folder) as example:
        example.execute(_TABLES)
        example.revision(1, "def upgrade() -> None: ...\ndef downgrade() -> None: ...")
        yield example


@pytest.fixture
def live(place: changing.Example) -> Generator[changing.Example]:
    yield place
    for file in place.history.glob("2026_11_21_*.py"):
        file.unlink()


def new(live: changing.Example, kind: str, **options: Any) -> tuple[str, list[Finding]]:
    """Write it; return the text and what was found."""
    told: dict[str, Any] = {"change": "users-full-name", "impact": "both work", "table": "users", **options}
    revision = told.pop("revision", None)
    wanted = Wanted(target=changing.TARGET, kind=kind, **told)
    with ready.new(live.config, live.toml, wanted, live.run(), NOW, revision=revision) as made:
        [step] = made.plan.steps
        made.apply(step)
        assert Path(step.action.path).read_text(encoding="utf-8") == step.action.text
        return step.action.text, list(made.findings)


RENAME: Mapping[str, Any] = {"column": ("name",), "to": ("full_name",)}
EXPECTED = '''"""public.users: rename name to full_name."""

from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.index import Index

revision = "2026_11_21_0900"
down_revision = "2026_01_01_0001"

change = "users-full-name"
phase = "expand"
impact = "both work"
shape = Columns(
    table="public.users",
    old=("name",),
    new=(New("full_name", "text", not_null=True, default="'it''s nobody'::text"),),
    up={"full_name": "r.name"},
    down={"name": "r.full_name"},
    carry=(
        Index("public.users", "users_by_full_name", "(full_name)"),
    ),
)


def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
'''


def test_a_rename_is_a_short_file_that_carries_type_and_default_over(live: changing.Example) -> None:
    text, findings = new(live, "rename-column", **RENAME)
    assert text == EXPECTED
    assert findings == []


SHAPES = (
    ("add-column", {"column": ("locale",), "type": "text", "default": "'en'", "not_null": True},
     """Columns(table="public.users", new=(New("locale", "text", not_null=True, default="'en'"),),)"""),
    ("add-column", {"column": ("token",), "type": "uuid", "default": "gen_random_uuid()"},
     ("""Columns(table="public.users", new=(New("token", "uuid", default="gen_random_uuid()"),), """
     """up={"token": "gen_random_uuid()"},)""")),
    ("add-column", {"column": ("seen",), "type": "timestamptz", "default": "now()"},
     """Columns(table="public.users", new=(New("seen", "timestamptz", default="now()"),),)"""),
    ("not-null", {"column": ("email",), "fill": "'none'"},
     """NotNull(table="public.users", column="email", fill="'none'",)"""),
    ("type", {"column": ("age",), "type": "int"},
     ("""Columns(table="public.users", old=("age",), new=(New("age_new", "int"),), up={"age_new": "r.age::int"}, """
     """down={"age": "r.age_new::character varying(3)"},)""")),
    ("type", {"column": ("age",), "type": "TEXT"},
     ("""Columns(table="public.users", old=("age",), new=(New("age_new", "TEXT"),), up={"age_new": "r.age"}, """
     """down={"age": "r.age_new::character varying(3)"},)""")),
    ("split-columns", {"column": ("name",), "to": ("first", "last")},
     ("""Columns(table="public.users", old=("name",), new=(New("first", "text"), New("last", "text")), """
     """up={"first": "split_part(r.name, ' ', 1)", """
     """"last": "substring(r.name FROM E'^(?:\\\\\\\\S+\\\\\\\\s+){1}(.*)$')"}, """
     """down={"name": "concat_ws(' ', r.first, r.last)"}, lossy=True,)""")),
    ("merge-columns", {"column": ("name", "email"), "to": ("label",), "up": {"label": "r.name || r.email"}},
     ("""Columns(table="public.users", old=("name", "email"), new=(New("label", "text"),), """
     """up={"label": "r.name || r.email"}, """
     """down={"name": "split_part(r.label, ' ', 1)", "email": "split_part(r.label, ' ', 2)"}, lossy=True,)""")),
    ("enum-values", {"column": ("state",), "to": ("state_v2",), "type": "text", "values": ("queued=waiting",)},
     ("""Columns(table="public.users", old=("state",), """
     """new=(New("state_v2", "text", not_null=True, default="'waiting'::text"),), """
     """up={"state_v2": "(CASE r.state::text WHEN 'queued' THEN 'waiting' ELSE r.state::text END)::text"}, """
     """down={"state": "(CASE r.state_v2::text WHEN 'waiting' THEN 'queued' ELSE r.state_v2::text END)"""
     """::public.state"},)""")),
    ("enum-values", {"column": ("state",), "to": ("state_v2",), "type": "text", "values": ("queued=done",)},
     ("""Columns(table="public.users", old=("state",), """
     """new=(New("state_v2", "text", not_null=True, default="'done'::text"),), """
     """up={"state_v2": "(CASE r.state::text WHEN 'queued' THEN 'done' ELSE r.state::text END)::text"}, """
     """down={"state": "r.state_v2::text::public.state"}, lossy=True,)""")),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "shape"), SHAPES)
def test_the_shape_of_each_kind(live: changing.Example, kind: str, options: dict[str, Any], shape: str) -> None:
    text, findings = new(live, kind, **options)
    lines = text.partition("\nshape = ")[2].partition("\n\n")[0].splitlines()
    if kind in {"split-columns", "merge-columns"}:
        assert "Not carried over: index users_by_name: CREATE INDEX users_by_name ON public.users USING btree" in text
        assert {one.code for one in findings} == {"not-carried-over"}
    assert " ".join(line.strip() for line in lines).replace("( ", "(").replace(", )", ",)") == shape


def test_revisions_of_the_same_minute_stand_one_behind_the_other(live: changing.Example) -> None:
    first, _ = new(live, "rename-column", **RENAME)
    second, _ = new(live, "not-null", column=("email",), change="users-email")
    assert 'revision = "2026_11_21_0900"\ndown_revision = "2026_01_01_0001"' in first
    assert 'revision = "2026_11_21_0901"\ndown_revision = "2026_11_21_0900"' in second


def test_a_change_is_begun_once(live: changing.Example) -> None:
    new(live, "rename-column", **RENAME)
    with pytest.raises(Refused, match="has a change users-full-name already: revision 2026_11_21_0900"):
        new(live, "not-null", column=("email",))


def test_without_its_database_it_is_written_as_it_was_told(live: changing.Example) -> None:
    before = live.toml.read_text(encoding="utf-8")
    live.toml.write_text(before.replace("host=", "host=/nowhere"), encoding="utf-8")
    try:
        text, findings = new(live, "rename-column", **RENAME, type="text")
    finally:
        live.toml.write_text(before, encoding="utf-8")
    assert 'New("full_name", "text")' in text
    assert [one.code for one in findings] == ["not-looked-up"]


REFUSED: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("rename-colum", RENAME, "no kind of change 'rename-colum'; near it: rename-column"),
    ("rename-column", {**RENAME, "impact": " "}, "--impact has to say"),
    ("rename-column", {**RENAME, "change": "Not A Name"}, "is no name of a change"),
    ("rename-column", {**RENAME, "table": "user"}, "no table user; near it: public.users"),
    ("rename-column", {**RENAME, "column": ("nam",)}, "no column 'nam'; near it: name"),
    ("rename-column", {**RENAME, "to": ("email",)}, "has a column 'email' already"),
    ("rename-column", {"column": ("name",)}, "rename-column needs --to"),
    ("rename-column", {**RENAME, "fill": "1"}, "rename-column takes no --fill"),
    ("rename-column", {**RENAME, "up": {"other": "r.name"}}, "up has to name each column once: other"),
    ("rename-column", {**RENAME, "revision": "2026_01_01_0001"}, "has a revision 2026_01_01_0001 already"),
    ("rename-column", {"column": ("upper",), "to": ("x",)}, "upper is generated"),
    ("add-column", {"column": ("x",), "type": "nothing", "default": "1"}, 'type "nothing" does not exist'),
    ("add-column", {"column": ("x",), "type": "int", "not_null": True}, "needs a value for the rows that are there"),
    ("enum-values", {"column": ("state",), "to": ("x",), "type": "text", "values": ("none=x",)},
     "no value 'none'; it has: queued, done"),
    ("enum-values", {"column": ("state",), "to": ("x",), "type": "text", "values": ("none",)}, "OLD=NEW"),
    ("not-null", {"column": ("name",)}, "is NOT NULL already"),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refused(live: changing.Example, kind: str, options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        new(live, kind, **options)
    assert message in f"{refused.value.message} {refused.value.hint}"
    assert [file.name for file in live.history.iterdir() if file.is_file()] == ["2026_01_01_0001_revision.py"]
