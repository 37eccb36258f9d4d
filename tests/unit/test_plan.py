"""A plan shows what will run, quoted as the server needs it, and has an identity that does not drift."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Plan, Ready, Risk, Statement, Step, Verbatim, literal, qualified

NAMES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=63)
HOSTILE = [
    'a"b',
    "it's",
    "new\nline",
    "ünï",
    "%s",
    "{}",
    "%%",
    "\\",
    "Upper",
    "with space",
    "x" * 63,
    '"; DROP TABLE x; --',
]


def unquoted(text: str) -> str:
    """Read an identifier as PostgreSQL does: folded to lower case unless it is quoted."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


@given(NAMES)
def test_a_name_is_read_back_as_itself(name: str) -> None:
    shown = qualified((name,))
    assert unquoted(shown) == name
    assert re.fullmatch(r'[a-z_][a-z0-9_]*|"(?:[^"]|"")*"', shown)


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")))
def test_a_value_is_read_back_as_itself(value: str) -> None:
    shown = literal(value)
    assert re.fullmatch(r"""'(?:[^'\\]|'')*'|E'(?:[^'\\]|''|\\\\)*'""", shown)
    assert shown[shown.index("'") + 1 : -1].replace("''", "'").replace("\\\\", "\\") == value


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_name_or_a_value_holds_is_never_filled_again(name: str) -> None:
    statement = Statement("COMMENT ON ROLE {} IS %s -- 100%%", ((name,),), (name,))
    assert statement.shown() == f"COMMENT ON ROLE {qualified((name,))} IS {literal(name)} -- 100%"


@pytest.mark.parametrize("word", ["user", "order", "group", "select", "table"])
def test_a_keyword_is_quoted_so_that_the_preview_can_be_typed(word: str) -> None:
    assert Statement("GRANT SELECT ON {} TO {}", (("public", word), ("app_read",))).shown() == (
        f'GRANT SELECT ON public."{word}" TO app_read'
    )


def test_what_the_server_has_quoted_is_not_quoted_again() -> None:
    assert (
        Statement("DROP FUNCTION {}", (Verbatim('public."F"(integer)'),)).shown() == 'DROP FUNCTION public."F"(integer)'
    )


def plan(*, notes: tuple[str, ...] = (), risk: Risk = Risk.SAFE, target: str = "audit") -> Plan[None]:
    statement = Statement("GRANT {} TO {}", (("app_read",), ("ünï",)))
    return Plan(target, "roles", (Step("grant app_read", "grant app_read", None, risk, (statement,), notes),))


def test_the_identity_of_a_plan_is_the_same_in_every_run_and_version() -> None:
    assert plan().sha == "c8168f7c3ddfd0eb0ff60f4dad1c9cfd26bda17fd2119ed5baf1ae1e94803f6a"


def test_who_is_connected_just_now_does_not_change_the_plan_but_risk_and_target_do() -> None:
    assert plan(notes=("3 sessions",)).sha == plan().sha
    assert len({plan().sha, plan(risk=Risk.BLOCKS).sha, plan(target="other").sha, Plan("audit", "roles").sha}) == 4


def test_a_plan_is_as_risky_as_its_worst_step() -> None:
    steps = tuple(Step(risk.label, risk.label, None, risk) for risk in (Risk.SAFE, Risk.LOSES_DATA, Risk.BLOCKS))
    assert Plan("a", "b", steps).risk is Risk.LOSES_DATA
    assert Plan("a", "b").risk is Risk.SAFE


def test_a_ready_plan_speaks_of_its_target() -> None:
    ready = Ready(plan(), apply=lambda _: None)
    ready.guard()
    assert ready.target == "audit"
