"""How values are kept, and how documents are merged."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.sandbox.emulators.search import definitions, fields, values
from dbops.sandbox.emulators.search.answers import Failure
from dbops.sandbox.emulators.search.shape import Shape

from searching import definition, field

_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=_ZONES)  # noqa: DTZ001


@given(_MOMENTS)
def test_a_date_is_brought_to_utc_and_cut_to_milliseconds(moment: datetime) -> None:
    kept = values.date(moment.isoformat())
    assert kept.endswith("Z")
    exact = moment.astimezone(UTC)
    assert datetime.fromisoformat(kept) == exact - timedelta(microseconds=exact.microsecond % 1000)
    assert values.date(kept) == kept


@given(st.text(max_size=30))
def test_a_text_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(values.Mismatch):
        values.date(text)


def _shape() -> Shape:
    inner = [field("city"), field("zip", "Edm.Int32")]
    several = [field("beds", "Edm.Int32"), field("tags", "Collection(Edm.String)")]
    whole = definition(
        "docs",
        field("n", "Edm.Int64"),
        field("tags", "Collection(Edm.String)"),
        field("address", "Edm.ComplexType", fields=inner),
        field("rooms", "Collection(Edm.ComplexType)", fields=several),
    )
    return Shape(definitions.completed(whole, None, ()))


_SHAPE = _shape()
_STRINGS = st.lists(st.text(max_size=5), max_size=3)
_ROOM = st.fixed_dictionaries({}, optional={"beds": st.none() | st.integers(0, 9), "tags": _STRINGS})
_ADDRESS = st.fixed_dictionaries({}, optional={"city": st.none() | st.text(max_size=5), "zip": st.integers(0, 9)})
_DOCUMENTS = st.fixed_dictionaries(
    {"id": st.just("k")},
    optional={
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "tags": _STRINGS,
        "address": st.none() | _ADDRESS,
        "rooms": st.lists(_ROOM, max_size=3),
    },
)


@given(_DOCUMENTS, _DOCUMENTS)
def test_a_merge_keeps_what_it_does_not_name_and_sets_what_it_names(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = _SHAPE.whole(_SHAPE.checked(old))
    after = _SHAPE.merged(before, _SHAPE.checked(new))
    alone = _SHAPE.whole(_SHAPE.checked(new))
    for name, value in after.items():
        if name not in new:
            assert value == before[name]
        elif name != "address" or before[name] is None or new[name] is None:
            assert value == alone[name]
        else:
            assert value == {**before[name], **new[name]}


@given(_DOCUMENTS)
def test_what_was_kept_is_kept_unchanged_when_it_is_written_again(document: dict[str, Any]) -> None:
    kept = _SHAPE.whole(_SHAPE.checked(document))
    assert _SHAPE.whole(_SHAPE.checked(kept)) == kept
    assert list(kept) == ["id", "n", "tags", "address", "rooms"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_a_value_is_kept_or_refused_and_never_a_surprise(value: Any) -> None:
    for name in ("n", "tags", "address", "rooms"):
        assert _kept_or_refused(name, value) in (value, f"400 {name}")


def _kept_or_refused(name: str, value: Any) -> Any:
    try:
        return _SHAPE.checked({"id": "k", name: value})[name]
    except Failure as refused:
        return f"{refused.status} {name if name in refused.message else refused.message}"


def test_a_definition_that_was_completed_is_complete() -> None:
    once = definitions.completed(definition("docs", field("a"), field("b", "Edm.GeographyPoint")), None, ())
    assert definitions.completed(once, None, ()) == once
    assert {one["name"] for one in once["fields"]} == {"id", "a", "b"}
    assert [path for path, _ in fields.walk(once["fields"])] == ["id", "a", "b"]
