"""What the shapes of tables say, without a database."""

import ast
from dataclasses import replace

import pytest

from dbops.errors import UsageError
from dbops.operations.migrate import checksum
from dbops.operations.migrate.scaffold.facts import Column, Known, Table, Wanted
from dbops.operations.migrate.scaffold.kinds import named
from dbops.operations.migrate.shapes import exchanging
from dbops.operations.migrate.shapes.across import plain, split
from dbops.operations.migrate.shapes.renamed import RenamedTable
from dbops.operations.migrate.shapes.replaced import Replaced
from dbops.operations.migrate.shapes.shape import Shape

SHAPE = Replaced(
    table="public.users", by="public.users_v2", create="CREATE ...", key=("id",), same=("name",), up={"b": "r.a"}
)
ODD = "'{x} 100%' || ':y @here@ $across$' || r.a"
USERS = Table(
    "public.users", (Column("id", "int"), Column("name", "text"), Column("n", "int", generated=True)), ("id",)
)


@pytest.mark.parametrize(
    ("written", "parts", "stored"),
    [
        ("users", ("users",), "users"),
        ("public.Users", ("public", "Users"), "users"),
        ('public."Weird.Name"', ("public", '"Weird.Name"'), "Weird.Name"),
        ('"a""b".c', ('"a""b"', "c"), "c"),
        ('x."a""b"', ("x", '"a""b"'), 'a"b'),
    ],
)
def test_a_name_is_cut_where_sql_would_cut_it(written: str, parts: tuple[str, ...], stored: str) -> None:
    assert split(written) == parts
    assert plain(split(written)[-1]) == stored


@pytest.mark.parametrize("shape", [SHAPE, RenamedTable(table="public.users", to="people")])
def test_a_shape_says_the_same_each_time(shape: Shape) -> None:
    assert checksum.of("c", shape) == checksum.of("c", shape)
    assert checksum.of("c", shape) != checksum.of("d", shape) or shape.swap("c") == ()


def test_once_names_are_exchanged_the_walks_follow() -> None:
    before = exchanging.comparisons(SHAPE, swapped=False)
    after = exchanging.comparisons(SHAPE, swapped=True)
    assert [(one.table, one.way) for one in before] == [("public.users", "forward"), ("public.users_v2", "back")]
    assert [(one.table, one.way) for one in after] == [("public.users_v2", "forward"), ("public.users", "back")]
    renamed = RenamedTable(table="public.users", to="people")
    assert exchanging.comparisons(renamed, swapped=True) == ()
    assert exchanging.before_swap(renamed, "c") == exchanging.before_swap_back(renamed, "c") == ()


def test_an_expression_may_hold_any_sign() -> None:
    odd = Replaced(table="t", by="u", create="", key=("id",), up={"b": ODD}, down={"a": ODD})
    assert all(ODD in one.sql for one in odd.expand("c")[4:5])
    filling = odd.filling()
    assert filling is not None
    assert ODD in filling.statement


def test_new_writes_a_copy_that_its_author_corrects() -> None:
    wanted = Wanted("main", "c", "none", "replace-table", "public.users", to=("users_v2",), up={"m": "r.n"})
    draft = named("replace-table").write(wanted, Known(USERS))
    ast.parse(draft.shape)
    assert 'same=("name",)' in draft.shape
    assert 'up={"m": "r.n"}' in draft.shape
    assert "(LIKE public.users INCLUDING ALL)" in draft.shape
    assert "as_written" not in draft.shape
    renamed = named("rename-table").write(
        Wanted("main", "c", "none", "rename-table", "public.users", to=("people",)), Known(USERS)
    )
    assert renamed.shape == 'RenamedTable(\n    table="public.users",\n    to="people",\n)'


@pytest.mark.parametrize("to", [(), ("a", "b"), ("other.people",)])
def test_a_table_has_one_new_name_in_its_own_schema(to: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="one new name"):
        named("rename-table").write(Wanted("main", "c", "none", table="public.users", to=to), Known(USERS))


def test_rows_without_a_name_cannot_be_carried_over() -> None:
    wanted = Wanted("main", "c", "none", table="public.users", to=("users_v2",))
    with pytest.raises(UsageError, match="no primary key"):
        named("replace-table").write(wanted, Known(Table("public.users", USERS.columns)))


def test_new_names_the_columns_that_equality_does_not_judge() -> None:
    exact = ("bigint", "numeric(8,2)", "character varying(9)", "timestamp with time zone", "text")
    loose = ("numeric", "interval", "jsonb", "public.citext", "integer[]", "double precision", "character varying(9)[]")
    columns = tuple(Column(f"{one[:2]}{n}", one) for n, one in enumerate((*exact, *loose)))
    known = Known(Table("public.users", (Column("id", "bigint", not_null=True), *columns), ("id", "pu8")))
    wanted = Wanted("main", "c", "none", "replace-table", "public.users", to=("users_v2",))
    shape = named("replace-table").write(wanted, known).shape
    assert 'as_written=("nu5", "in6", "js7", "pu8", "in9", "do10", "ch11")' in shape


def test_new_says_that_json_does_not_come_back_from_jsonb_as_it_was() -> None:
    known = Known(Table("public.users", (Column("doc", "json"),)))
    wanted = Wanted("main", "c", "none", "type", "public.users", column=("doc",), to=("doc_v2",), type="JSONB")
    assert "lossy=True" in named("type").write(wanted, known).shape
    assert "lossy=True" not in named("type").write(replace(wanted, type="text"), known).shape
