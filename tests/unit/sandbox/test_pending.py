"""Small writes of the search emulator that wait in a file: what is whole is read, also behind what was cut off."""

from pathlib import Path

import pytest

from dbops.sandbox.emulators.search.pending import Change, Pending


def _change(number: int) -> Change:
    return Change("docs", float(number), {f"k{number}": {"n": number}, f"gone{number}": None})


def _left(file: Path) -> list[Change]:
    pending = Pending(file)
    pending.close()
    return pending.changes


@pytest.mark.parametrize("whole", [0, 1, 3])
@pytest.mark.parametrize("cut", [1, 9, 20])
def test_what_comes_after_a_record_that_was_cut_off_is_not_lost(tmp_path: Path, whole: int, cut: int) -> None:
    file = tmp_path / "pending"
    changes = [_change(number) for number in range(whole + 1)]
    pending = Pending(file)
    for change in changes[:-1]:
        pending.add(change)
    kept = file.stat().st_size
    pending.add(changes[-1])
    pending.close()
    with file.open("r+b") as cutting:
        cutting.truncate(kept + cut)
    again = Pending(file)
    assert again.changes == changes[:-1]
    again.add(_change(100))
    again.close()
    assert _left(file) == [*changes[:-1], _change(100)]


def test_a_record_that_was_changed_ends_the_reading_before_it(tmp_path: Path) -> None:
    file = tmp_path / "pending"
    pending = Pending(file)
    pending.add(_change(1))
    kept = file.stat().st_size
    pending.add(_change(2))
    pending.close()
    data = bytearray(file.read_bytes())
    data[kept + 12] ^= 1
    file.write_bytes(data)
    assert _left(file) == [_change(1)]
    assert file.stat().st_size == kept
