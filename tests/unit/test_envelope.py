"""One JSON form of every result: names of keys depend on types, never on today's values."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dbops.cli.envelope import plain
from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Risk
from dbops.errors import ExitCode


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    VERY_HIGH = 3


@dataclass(frozen=True, slots=True)
class Inner:
    age: timedelta | None = None
    wait_s: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Outer:
    at: datetime
    inner: Inner
    size_bytes: int = 5
    colours: frozenset[Colour] = frozenset({Colour.RED})
    level: Level = Level.VERY_HIGH
    path: Path = Path("/x")
    facts: dict[str, Any] = field(default_factory=lambda: {"took": timedelta(milliseconds=1500), "gone": None})


def test_a_dataclass_becomes_json_with_units_in_its_keys() -> None:
    assert plain(Outer(datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC), Inner(timedelta(minutes=1)))) == {
        "at": "2026-01-02T03:04:05.678Z",
        "inner": {"age_s": 60.0, "wait_s": 2.0},
        "size_bytes": 5,
        "colours": ["red"],
        "level": "very_high",
        "path": "/x",
        "facts": {"took_s": 1.5, "gone": None},
    }


def test_an_unknown_duration_keeps_its_key() -> None:
    assert plain(Inner()) == {"age_s": None, "wait_s": 2.0}


@pytest.mark.parametrize("value", [Risk.LOSES_DATA, Severity.UNKNOWN, ExitCode.AUTH])
def test_an_enumeration_is_told_as_a_word(value: object) -> None:
    assert isinstance(plain(value), str)


def test_a_finding_has_the_keys_of_the_contract() -> None:
    found = plain(Finding(Severity.WARNING, "code", "target", "message"))
    assert found == {"severity": "warning", "code": "code", "target": "target", "message": "message", "hint": None}


@pytest.mark.parametrize("value", [object(), b"bytes", bytearray(b"x"), lambda: None], ids=lambda v: type(v).__name__)
def test_what_has_no_form_is_a_bug_and_said_so(value: object) -> None:
    with pytest.raises(TypeError, match="has no form in a result"):
        plain({"deep": [value]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
        max_leaves=20,
    )
)
@example([float("nan"), {"x": float("inf")}])
def test_whatever_comes_out_is_strict_json(value: object) -> None:
    json.dumps(plain(value), allow_nan=False)
