"""Where partition keys lie, beside the SDK's own hashing."""

import itertools
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from hypothesis import given
from hypothesis import strategies as st

from dbops.sandbox.emulators.cosmos import keys
from dbops.sandbox.emulators.cosmos.answers import Refused

_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=20), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(), st.just({})
)
_SCHEMES = [
    keys.scheme({"paths": ["/a"], "kind": "Hash", "version": 1}),
    keys.scheme({"paths": ["/a"], "kind": "Hash", "version": 2}),
    keys.scheme({"paths": ["/a", "/b", "/c"], "kind": "MultiHash", "version": 2}),
]


@given(st.sampled_from(_SCHEMES), st.lists(_VALUES, min_size=3, max_size=3), st.integers(1, 40))
def test_every_key_lies_in_exactly_one_range(scheme: keys.Scheme, values: list[Any], count: int) -> None:
    ends = scheme.boundaries(count)
    epk = scheme.key(values[: len(scheme.paths)]).epk
    assert ends == sorted(set(ends))
    assert sum(low <= epk < high for low, high in itertools.pairwise(ends)) == 1


@given(st.sampled_from(_SCHEMES), st.integers(1, 40), st.data())
def test_a_range_is_split_within_and_never_beside_its_keys(
    scheme: keys.Scheme, count: int, data: st.DataObject
) -> None:
    ends = scheme.boundaries(count)
    low, high = data.draw(st.sampled_from(list(itertools.pairwise(ends))))
    first, last = scheme.ends
    for _ in range(5):
        middle = scheme.middle(low, high)
        assert low < middle < high
        assert first < int(middle, 16) < last
        low, high = data.draw(st.sampled_from([(low, middle), (middle, high)]))


@given(_VALUES)
def test_hashes_are_those_of_the_sdk(value: Any) -> None:
    [mine] = [scheme for scheme in _SCHEMES if (scheme.kind, scheme.version) == ("Hash", 2)]
    theirs: Any = PartitionKey("/a")
    assert mine.key([value]).epk == theirs._get_effective_partition_key_string([value])


@given(st.lists(_VALUES, min_size=3, max_size=3), st.integers(1, 2))
def test_a_beginning_of_a_hierarchical_key_holds_the_whole_key(values: list[Any], length: int) -> None:
    low, high = _SCHEMES[2].prefix(values[:length])
    assert low <= _SCHEMES[2].key(values).epk < high


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_the_same_key_in_both_spellings(number: int) -> None:
    assert _SCHEMES[1].key([number]) == _SCHEMES[1].key([float(number)])


def test_kinds_of_values_never_share_a_key() -> None:
    values: list[Any] = ["1", 1, True, "true", None, "null", {}, "{}", "", 0, False]
    texts = [_SCHEMES[1].key([value]).text for value in values]
    assert len(set(texts)) == len(texts)


def test_a_document_without_the_path_has_the_missing_key() -> None:
    scheme = keys.scheme({"paths": ["/a/b"], "kind": "Hash", "version": 2})
    assert scheme.of({"a": 1}) == scheme.of({}) == scheme.key([{}])
    assert scheme.of({"a": {"b": None}}) == scheme.key([None])


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"paths": []},
        {"paths": ["a"], "version": 2},
        {"paths": ["/"], "version": 2},
        {"paths": ["/a", "/b"], "kind": "Hash", "version": 2},
        {"paths": ["/a", "/b", "/c", "/d"], "kind": "MultiHash", "version": 2},
        {"paths": ["/a"], "kind": "Range", "version": 2},
        {"paths": ["/a"], "version": 3},
    ],
)
def test_definitions_that_the_service_refuses(definition: dict[str, Any]) -> None:
    with pytest.raises(Refused) as error:
        keys.scheme(definition)
    assert error.value.status == 400


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("nan"), float("inf"), "x" * 5000])
def test_values_that_cannot_be_keys(value: Any) -> None:
    with pytest.raises(Refused):
        _SCHEMES[1].key([value])


def test_quoted_names_are_one_name() -> None:
    assert keys.split('/a/"b c"/d') == ("a", "b c", "d")
