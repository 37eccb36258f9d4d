"""The text of column shapes: names that fit, expressions in conditions, and what depends on a search path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.migrate.shapes import names
from dbops.operations.migrate.shapes.expressions import (
    PATH,
    as_new,
    columns_of,
    fixed_path,
    refuse_the_unsteady,
    type_of,
)
from dbops.operations.migrate.shapes.pair import Dual

_texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=80)


@given(st.sampled_from(["up", "down_insert"]), _texts, _texts)
def test_names_fit_and_are_known_as_ours(kind: str, change: str, table: str) -> None:
    name = names.name(kind, change, table)
    assert len(name.encode()) <= 63
    assert names.is_ours(name)
    assert '"' not in name
    assert name == names.name(kind, change, table)


@given(_texts, _texts, _texts, _texts)
def test_what_is_different_has_different_names(change: str, table: str, other: str, elsewhere: str) -> None:
    same = (change, table) == (other, elsewhere) or f"{change}_{table}" == f"{other}_{elsewhere}"
    assert same or names.name("up", change, table) != names.name("up", other, elsewhere)


def test_the_name_of_a_long_change_keeps_its_kind_in_front() -> None:
    long = names.name("down_update", "a-change" * 9, "public.users")
    assert long.startswith("~dbops_down_update_a-change")
    assert names.name("conflict_update", "x" * 90, "t") < long < names.name("up_insert", "a" * 90, "t")


@pytest.mark.parametrize("name", ["zzz", "~a", "_", "Z", "dbops"])
def test_ours_fire_after_those_of_the_application_and_the_default_before(name: str) -> None:
    ours = names.name("up_insert", "c", "t")
    assert names.name("default", "c", "t", prefix=names.FIRST) < name
    assert name < ours or name == "~a"  # who calls a trigger ~a wants to be near the end, and is before ~dbops


def test_a_row_is_called_new_in_a_condition_but_not_in_texts() -> None:
    told = """r.a || 'r.b ''r.c' || "r.d" || r."r.e" || lower(R.f) || other.r.g || $x$ r.h $x$ || (r.i)"""
    expected = """NEW.a || 'r.b ''r.c' || "r.d" || NEW."r.e" || lower(NEW.f) || other.r.g || $x$ r.h $x$ || (NEW.i)"""
    assert as_new(told) == expected


def test_the_end_of_a_text_is_where_a_backslash_says_so() -> None:
    assert as_new(r"r.a || E'it\'s r.b' || r.c") == r"NEW.a || E'it\'s r.b' || NEW.c"


def test_the_columns_of_an_expression_are_named_as_the_catalog_has_them() -> None:
    told = """lower(R.Name) || r."It""s" || 'r.text' || "r.quoted" || other.r.x || r . spaced || $$ r.y $$ || r.name"""
    assert columns_of([told, "1"]) == {"name", 'It"s', "spaced"}


@pytest.mark.parametrize(
    "told",
    [
        "r.a || now()",
        "current_user",
        "coalesce(r.a, Random ())",
        "to_jsonb(r)",
        "hash(r.*)",
        "(r).a IS NULL AND r IS NULL",
    ],
)
def test_what_nobody_could_follow_is_refused(told: str) -> None:
    with pytest.raises(ValueError, match="an expression"):
        refuse_the_unsteady([told])


@pytest.mark.parametrize(
    "told", ["r.now || r.user", "'now() r' || r.a", '"current_user"(r.b)', "(r.a).x", "my.random(r.a)"]
)
def test_columns_and_texts_may_be_called_anything(told: str) -> None:
    refuse_the_unsteady([told])


@pytest.mark.parametrize(
    ("told", "type_"),
    [
        ("r.b", "json"),
        ('(r."b")', "json"),
        ("lower(r.b)::xml", "xml"),
        ("(r.b)::point[]", "point[]"),
        ("lower(r.b)", None),
    ],
)
def test_the_type_of_an_expression_is_told_by_its_text(told: str, type_: str | None) -> None:
    assert type_of(told, {"b": "json"}) == type_


PLAIN = (
    "r.name",
    'r."Weird ""Name"""',
    "r.age::int",
    "r.age::numeric(12,2)",
    "(r.x)::double precision",
    "coalesce(r.a, 'x')",
    "CASE WHEN r.a IS NULL THEN 'none' ELSE r.a END",
    "r.at::timestamp with time zone",
    "r.state::text::public.state",
    'r.state::"My"."State"',
)


@pytest.mark.parametrize("plain", PLAIN)
def test_what_means_the_same_everywhere_needs_no_search_path(plain: str) -> None:
    assert fixed_path([plain]) == ""


@pytest.mark.parametrize(
    "told",
    [
        "lower(r.name)",
        "r.a || r.b",
        "r.a + 1",
        "public.f(r.a)",
        "r.a = 'x'",
        "nullif(r.a, r.b)",
        "CASE r.a WHEN 'x' THEN 1 END",
        "now()",
        '"Loud"(r.a)',
        "r.a::state",
    ],
)
def test_functions_and_operators_are_resolved_under_a_fixed_path(told: str) -> None:
    assert fixed_path(["r.plain", told]) == f" SET search_path = {PATH}"


def test_types_of_an_extension_are_compared_under_a_fixed_path() -> None:
    assert fixed_path(["r.a"], ["varchar(255)", "timestamp with time zone"]) == ""
    assert fixed_path(["r.a"], ["hstore"]) == fixed_path(["r.a"], ['"text"']) == f" SET search_path = {PATH}"


@pytest.mark.parametrize(
    ("up", "may"),
    [("r.a", False), ("(r.a)", False), (' r."A b" ', False), ("r.a::int", True), ("lower(r.a)", True), ("NULL", True)],
)
def test_only_a_bare_column_cannot_fail(up: str, may: bool) -> None:
    assert Dual("t", ("a",), ("b",), {"b": up}, {"a": "r.b"}).may_fail is may
