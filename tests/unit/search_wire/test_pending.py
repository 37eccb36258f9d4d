"""Small writes that wait: what was added is there after any end, and what was cut off is not there by half."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dbops.sandbox.emulators.search.pending import Change, Pending

_DOCUMENTS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.none() | st.dictionaries(st.text(max_size=3), st.integers(0, 9)),
    max_size=3,
)
_CHANGES = st.lists(st.builds(Change, st.sampled_from(["one", "two"]), st.floats(0, 1e9), _DOCUMENTS), max_size=5)


def _left(file: Path) -> list[Change]:
    pending = Pending(file)
    try:
        return list(pending.changes)
    finally:
        pending.close()


@given(_CHANGES, st.floats(0, 1))
def test_a_file_that_was_cut_anywhere_holds_the_whole_changes_before_the_cut(
    changes: list[Change], part: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pending"
        pending = Pending(file)
        ends = [0]
        for change in changes:
            pending.add(change)
            ends.append(file.stat().st_size)
        assert pending.changes == changes
        pending.close()
        assert _left(file) == changes
        cut = round(part * ends[-1])
        file.write_bytes(file.read_bytes()[:cut])
        assert _left(file) == changes[: sum(end <= cut for end in ends) - 1]


@given(_CHANGES.filter(bool))
def test_a_change_that_was_spoilt_ends_what_is_believed(changes: list[Change]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pending"
        pending = Pending(file)
        for change in changes:
            pending.add(change)
        pending.close()
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        assert _left(file) == changes[:-1]


def test_keys_that_wait_are_known_until_they_are_put_away(tmp_path: Path) -> None:
    pending = Pending(tmp_path / "pending")
    assert not pending
    pending.add(Change("one", 1.0, {"a": {}, "b": None}))
    assert pending.has("one", ["x", "b"])
    assert not pending.has("one", ["x"])
    assert not pending.has("two", ["a"])
    pending.clear()
    assert not pending
    assert not pending.has("one", ["a"])
    pending.close()
    assert _left(tmp_path / "pending") == []


def test_many_documents_wait_no_longer(tmp_path: Path) -> None:
    pending = Pending(tmp_path / "pending")
    for n in range(249):
        pending.add(Change("one", 1.0, {f"k{n}": {}}))
    assert not pending.many
    pending.add(Change("one", 1.0, {"last": {}}))
    assert pending.many
    pending.close()
