"""Sealed documents, the names of artifacts, and slices."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.copies.catalogue import address
from dbops.copies.manifest import Begun, File, opened, sealed
from dbops.copies.verify import slices
from dbops.errors import CouldNotVerify, VerifiedBad

import places

_BEGUN = Begun(places.SUBJECT, "run", "host", places.INSTANT, "zstd", ("age1",), {"watermark": [1, {"a": None}]})


def test_a_sealed_document_is_read_as_it_was_written() -> None:
    assert opened(Begun, sealed(_BEGUN), "it") == _BEGUN


def test_any_changed_value_breaks_the_seal() -> None:
    loaded = orjson.loads(sealed(_BEGUN))
    for key in loaded:
        for changed in ({**loaded, key: "another"}, {name: loaded[name] for name in loaded if name != key}):
            with pytest.raises(VerifiedBad):
                opened(Begun, orjson.dumps(changed), "it")


@given(st.data())
def test_any_flipped_bit_is_found_or_changes_nothing(data: st.DataObject) -> None:
    whole = sealed(_BEGUN)
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    flipped = whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :]
    with suppress(VerifiedBad):
        assert opened(Begun, flipped, "it") == _BEGUN  # white space between values


def test_a_newer_format_could_not_be_verified() -> None:
    with pytest.raises(CouldNotVerify, match="format 2"):
        opened(Begun, sealed(replace(_BEGUN, format=2)), "it")


def test_a_sound_document_of_another_kind_could_not_be_verified() -> None:
    with pytest.raises(CouldNotVerify):
        opened(File, sealed(_BEGUN), "it")


@given(st.timedeltas(timedelta(0), timedelta(days=9999)), st.sampled_from(["", "daily/", "a/b/"]))
def test_a_name_tells_what_lies_there(later: timedelta, prefix: str) -> None:
    instant = places.INSTANT + timedelta(milliseconds=later // timedelta(milliseconds=1))
    subject = replace(places.SUBJECT, instant=instant)
    found = address(f"{prefix}{subject.folder}records/part-1.json")
    assert found is not None
    assert (found.prefix, found.store, found.target, found.kind) == (prefix, "cosmos", "workflows", "export")
    assert (found.instant, found.folder) == (instant, prefix + subject.folder)


@pytest.mark.parametrize(
    "name",
    [
        "pgbackrest/archive/main/15-1/0001/x.gz",
        "cosmos/workflows/20260801T020000.123Z-export",
        "cosmos/workflows/20261301T020000.123Z-export/a",
        "cosmos/workflows/20260801T020000Z-export/a",
        "cosmos/Work flows/20260801T020000.123Z-export/a",
        "manifest.json",
    ],
)
def test_what_others_keep_in_the_same_place_is_no_artifact(name: str) -> None:
    assert address(name) is None


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 12))
def test_slices_cover_every_piece_of_every_file_once(counts: list[int], of: int) -> None:
    files = [(replace(_FILE, name=f"{n}"), count) for n, count in enumerate(counts)]
    covered = [
        (part.file.name, piece)
        for nth in range(1, of + 1)
        for part in slices(files, nth, of)
        for piece in range(part.first, part.last)
    ]
    assert covered == [(file.name, piece) for file, count in files for piece in range(count)]
    assert all(sum(p.last - p.first for p in slices(files, n, of)) <= sum(counts) // of + 1 for n in range(1, of + 1))


_FILE = File("a", 1, "x", "a", 1, "x", "none", encrypted=False)
