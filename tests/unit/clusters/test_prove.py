"""What files of a repository are, whether sealed ones are whole, what pgbackrest verify says: without a repository."""

import gzip
from hashlib import sha1

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from dbops.errors import VerifiedBad
from dbops.operations.clusters.prove import names, said, sealed
from dbops.operations.clusters.prove.names import Kind
from dbops.operations.clusters.prove.reading import Unpacking

LABEL = "20261121-044048F"
INFO = b"""[backrest]
backrest-format=5
backrest-version="2.45"

[db]
db-id=1
db-system-id=7710480112359124665
db-version="15"

[db:history]
1={"db-id":7710480112359124665,"db-version":"15"}

[backrest]
backrest-checksum="9861e930c02621ed06ecc7e9ef37adccfba9cd51"
"""
MANIFEST: sealed.Sections = {
    "backup": {"backup-bundle": "true"},
    "backup:option": {"option-compress-type": '"zst"'},
    "target:file": {
        "pg_data/a": '{"bni":1,"bno":7,"checksum":"x","rck":"aa","repo-size":5,"size":9}',
        "pg_data/b": '{"bni":1,"checksum":"x","rck":"bb","repo-size":7,"size":9}',
        "pg_data/empty": '{"size":0}',
        "pg_data/old": '{"bni":1,"rck":"cc","reference":"20261120-044048F","repo-size":7,"size":9}',
        "pg_data/backup_label": '{"checksum":"x","rck":"dd","repo-size":188,"size":256}',
    },
}


def test_an_info_file_as_pgbackrest_wrote_it_is_whole() -> None:
    assert sealed.systems(sealed.opened(INFO)) == {1: 7710480112359124665}


@given(st.integers(0, len(INFO) - 1), st.integers(1, 255))
def test_no_byte_of_a_sealed_file_can_change_unnoticed(at: int, bits: int) -> None:
    broken = bytearray(INFO)
    broken[at] ^= bits
    with pytest.raises(VerifiedBad):
        sealed.opened(bytes(broken))


@given(st.integers(0, len(INFO) - 1))
@example(len(INFO) - 1)
def test_a_sealed_file_that_ends_too_early_is_damaged(end: int) -> None:
    with pytest.raises(VerifiedBad):
        sealed.opened(INFO[:end])


def test_a_manifest_tells_every_byte_of_its_own_files_and_none_of_others() -> None:
    found = sealed.stored(MANIFEST, LABEL)
    assert sorted(found) == ["bundle/1", "pg_data/backup_label.zst"]
    assert [(cut.offset, cut.size, cut.sha1) for cut in found["bundle/1"].cuts] == [(0, 7, "bb"), (7, 5, "aa")]
    assert found["bundle/1"].size == 12
    assert found["pg_data/backup_label.zst"].size == 188


@given(st.text(min_size=1), st.integers(1, 50))
def test_each_file_is_in_exactly_one_slice(path: str, of: int) -> None:
    assert sum(names.within(path, (nth, of)) for nth in range(1, of + 1)) == 1


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("archive.info.copy", Kind.INFO),
        (f"15-1/0000000100000000/000000010000000000000008-{'0a' * 20}.zst", Kind.SEGMENT),
        (f"15-1/0000000100000000/000000010000000000000008.partial-{'0a' * 20}.gz", Kind.SEGMENT),
        ("15-1/00000002.history", Kind.WITNESSED),
        ("15-1/0000000100000000/000000010000000000000009.00000028.backup", Kind.WITNESSED),
        (f"15-1/0000000100000000/000000010000000000000008-{'0a' * 20}.zst.pgbackrest.tmp", Kind.TEMPORARY),
        ("15-1/notes.txt", Kind.STRANGER),
    ],
)
def test_what_lies_in_an_archive_is_told_from_its_name(path: str, kind: Kind) -> None:
    assert names.kind_in_archive(path) is kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("backup.info", Kind.INFO),
        (f"{LABEL}/backup.manifest.copy", Kind.MANIFEST),
        (f"{LABEL}_20261121-044050I/bundle/12", Kind.OF_A_SET),
        (f"backup.history/2026/{LABEL}.manifest.gz", Kind.OLD_MANIFEST),
        ("lost+found/x", Kind.STRANGER),
    ],
)
def test_what_lies_beside_backups_is_told_from_its_name(path: str, kind: Kind) -> None:
    assert names.kind_in_backup(path) is kind


def test_counts_of_pgbackrest_verify_are_read_and_silence_is_no_word() -> None:
    text = """stanza: main
status: error
  archiveId: 15-1, total WAL checked: 6, total valid WAL: 5
    missing: 0, checksum invalid: 0, size invalid: 0, other: 1
  backup: 20261121-044048F, status: invalid, total files checked: 970, total valid files: 969
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
  backup: 20261121-044050F, status: valid, total files checked: 970, total valid files: 970
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261121-044051F, status: valid, total files checked: 0, total valid files: 0
"""
    told = said.parse(text)
    assert (told.archives["15-1"].valid, told.archives["15-1"].counts) == (False, "other: 1")
    assert [one.valid for one in told.backups.values()] == [False, True, False]
    assert said.parse("").status == ""


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_no_byte_of_a_packed_file_can_change_unnoticed(compression: str) -> None:
    content = b"".join(b"%d," % n for n in range(400))
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    packed = gzip.compress(content, mtime=0) if compression == "gz" else packer.compress(content) + packer.flush()
    packed = bytes([*packed[:9], 3, *packed[10:]]) if compression == "gz" else packed
    _unpack(packed, compression, content)
    for at in range(len(packed)):
        broken = bytearray(packed)
        broken[at] ^= 0xFF
        with pytest.raises(VerifiedBad):
            _unpack(bytes(broken), compression, content)
    for end in range(len(packed)):
        with pytest.raises(VerifiedBad):
            _unpack(packed[:end], compression, content)


def _unpack(packed: bytes, compression: str, content: bytes) -> None:
    unpacking = Unpacking(compression)
    unpacking.feed(packed[:100])
    unpacking.feed(packed[100:])
    unpacking.close()
    if unpacking.sha1.digest() != sha1(content, usedforsecurity=False).digest():
        raise VerifiedBad("it is another content")
