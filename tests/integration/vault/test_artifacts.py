"""Artifacts: written, found, read back and verified on a folder, on Azure Blob and on S3."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest
import zstandard

from dbops.config.model import Tier
from dbops.copies import artifact
from dbops.copies.manifest import FORMAT, Record, opened, sealed
from dbops.copies.reader import content
from dbops.engine.finding import Finding, Severity, Verdict
from dbops.errors import ConfigInvalid, CouldNotVerify, Refused, VerifiedBad
from dbops.stores.vault import Store

import places
from places import SUBJECT, identity, noise, written

(MINE, MY_KEY), (YOURS, YOUR_KEY) = identity(), identity()
BOTH = (MY_KEY, YOUR_KEY)
FOLDER = "cosmos/workflows/20260801T020000.123Z-export/"
LINES = b"".join(b'{"id": "%d", "text": "%x"}\n' % (n, n * n) for n in range(50_000))
_PIECE = 8 << 20


def read(vault: Store, found: artifact.Artifact, name: str, identity: str | None = None) -> bytes:
    return b"".join(artifact.read(vault, found, name, identity=identity))


def only(vault: Store, prefix: str = "") -> artifact.Found:
    [found] = artifact.listing(vault, prefix)
    return found


def fail_in_the_middle(writer: artifact.Writer, name: str) -> None:
    with writer.file(name) as sink:
        sink.write(b"half")
        raise KeyError


def codes(findings: tuple[Finding, ...] | list[Finding]) -> set[tuple[Severity, str]]:
    return {(finding.severity, finding.code) for finding in findings}


@pytest.mark.parametrize("compression", ["zstd", "none"])
@pytest.mark.parametrize("recipients", [(), BOTH])
def test_what_was_written_is_read_back(store: Store, compression: str, recipients: tuple[str, ...]) -> None:
    files = {"part-0001.jsonl": LINES, "part-0002.jsonl": b"", "sub/noise.bin": noise(9 << 20)}
    found = written(store, files, compression=compression, recipients=recipients)
    assert found.address.folder == FOLDER
    assert found == only(store)
    assert {file.name: file.count for file in found.manifest.files}["part-0001.jsonl"] == 50_000
    for key in (MINE, YOURS) if recipients else (None,):
        for name, data in files.items():
            assert read(store, found, name, key) == data
    for depth in ("listed", "stored", "content"):
        verified = artifact.verify(store, found, depth=depth, identity=MINE)
        assert verified.verdict is Verdict.GOOD, verified.findings
        assert verified.files == 3


def test_stored_files_are_what_zstd_and_age_can_read_by_themselves(store: Store) -> None:
    found = written(store, {"lines": LINES}, recipients=BOTH)
    [file] = found.manifest.files
    assert file.stored == "lines.zst.age"
    opened = places.decrypted(store.get(found.address.folder + file.stored), MINE)
    with zstandard.ZstdDecompressor().stream_reader(opened, read_across_frames=True) as reader:
        assert reader.read() == LINES


def test_without_a_manifest_there_is_no_artifact_but_a_construction(store: Store) -> None:
    with artifact.write(store, SUBJECT, run="a-run") as writer, writer.file("a") as sink:
        sink.write(b"1")
    found = only(store)
    assert isinstance(found, artifact.Construction)
    assert found.begun is not None
    assert found.begun.run == "a-run"


def test_a_run_goes_on_with_what_another_has_left(store: Store) -> None:
    with artifact.write(store, SUBJECT, run="first", given={"watermark": 7}) as writer:
        with writer.file("part-1", extra={"upto": 5}) as sink:
            sink.write(b"one\n", 1)
        with pytest.raises(KeyError):
            fail_in_the_middle(writer, "part-2")
    with artifact.write(store, places.at_another(1), run="second", given={"watermark": 9}) as writer:
        assert writer.folder == FOLDER
        assert writer.subject.instant == places.INSTANT
        assert writer.begun.given == {"watermark": 7}
        assert {name: (file.count, file.extra) for name, file in writer.done.items()} == {"part-1": (1, {"upto": 5})}
        with writer.file("part-2") as sink:
            sink.write(b"two\n", 1)
        manifest = writer.finish(counts={"documents": 2}, digest="d", extra={"lsn": "0/1"})
    found = only(store)
    assert isinstance(found, artifact.Artifact)
    assert found.manifest == manifest
    assert (manifest.run, manifest.counts, manifest.digest) == ("second", {"documents": 2}, "d")
    assert manifest.extra == {"lsn": "0/1"}
    assert read(store, found, "part-1") + read(store, found, "part-2") == b"one\ntwo\n"


@pytest.mark.parametrize("changed", [b"", b"{", b'{"seal": "x"}'])
def test_a_record_that_cannot_be_read_is_set_aside_and_its_file_written_anew(store: Store, changed: bytes) -> None:
    with artifact.write(store, SUBJECT, run="first") as writer:
        for name in ("kept", "lost"):
            with writer.file(name) as sink:
                sink.write(name.encode())
    overwrite(store, f"{FOLDER}records/lost.json", changed)
    with artifact.write(store, places.at_another(1), run="second") as writer:
        assert (writer.folder, list(writer.done)) == (FOLDER, ["kept"])
        assert codes(writer.findings) == {(Severity.WARNING, "record_set_aside")}
        with writer.file("lost") as sink:
            sink.write(b"found")
        writer.finish()
    found = only(store)
    assert isinstance(found, artifact.Artifact)
    assert (read(store, found, "kept"), read(store, found, "lost")) == (b"kept", b"found")


def test_a_record_of_a_newer_dbops_is_not_taken_for_damaged(store: Store) -> None:
    record = f"{FOLDER}records/kept.json"
    with artifact.write(store, SUBJECT, run="first") as writer, writer.file("kept") as sink:
        sink.write(b"kept")
    newer = sealed(replace(opened(Record, store.get(record), record), format=FORMAT + 1))
    overwrite(store, record, newer)
    with (
        pytest.raises(CouldNotVerify, match="this dbops knows 1"),
        artifact.write(store, places.at_another(1), run="second"),
    ):
        pass
    assert store.get(record) == newer


@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_changed_while_its_artifact_was_unfinished_is_written_anew_by_the_next_run(
    store: Store, *, gone: bool
) -> None:
    with artifact.write(store, SUBJECT, run="first", compression="none") as writer:
        with writer.file("a") as sink:
            sink.write(b"1")
        store.delete(f"{FOLDER}a") if gone else overwrite(store, f"{FOLDER}a", b"2")
        with pytest.raises(VerifiedBad, match="differs"):
            writer.finish()
    with artifact.write(store, places.at_another(1), run="second", compression="none") as writer:
        assert (writer.folder, writer.done) == (FOLDER, {})
        with writer.file("a") as sink:
            sink.write(b"1")
        writer.finish()
    assert isinstance(only(store), artifact.Artifact)


@pytest.mark.parametrize(
    "other",
    [
        {"source": "account/another"},
        {"kind": "backup"},
        {"target": "others"},
        {"store": "search"},
    ],
)
def test_what_another_subject_left_is_not_continued(store: Store, other: dict[str, Any]) -> None:
    with artifact.write(store, SUBJECT, run="first") as writer, writer.file("a") as sink:
        sink.write(b"1")
    with artifact.write(store, replace(places.at_another(1), **other), run="second") as writer:
        assert writer.done == {}
        assert writer.folder != FOLDER
    told = {code for _, code in codes(writer.findings)}
    assert told == ({"construction_abandoned"} if "source" in other else set())


def test_other_recipients_or_compression_begin_anew_and_tell_of_the_old(store: Store) -> None:
    with artifact.write(store, SUBJECT, run="first") as writer, writer.file("a") as sink:
        sink.write(b"1")
    others: tuple[dict[str, Any], ...] = ({"recipients": BOTH}, {"compression": "none"})
    for n, options in enumerate(others, 1):
        with artifact.write(store, places.at_another(n), run="second", **options) as writer:
            assert writer.done == {}
        assert (Severity.INFO, "construction_abandoned") in codes(writer.findings)


def test_two_artifacts_of_one_millisecond_lie_beside_each_other(store: Store) -> None:
    first, second = written(store, {"a": b"1"}), written(store, {"a": b"2"})
    assert first.address.folder != second.address.folder
    assert [read(store, found, "a") for found in artifact.listing(store) if isinstance(found, artifact.Artifact)] == [
        b"1",
        b"2",
    ]


def test_an_artifact_is_not_finished_while_a_file_is_missing(store: Store) -> None:
    with artifact.write(store, SUBJECT, run="a-run") as writer:
        with writer.file("a") as sink:
            sink.write(b"1")
        with pytest.raises(Refused, match="lacks b"):
            writer.finish(files=["a", "b"])
    assert isinstance(only(store), artifact.Construction)


def test_what_the_vault_gives_back_is_compared_before_the_manifest_is_written(store: Store) -> None:
    with artifact.write(store, SUBJECT, run="a-run", compression="none") as writer:
        with writer.file("a") as sink:
            sink.write(b"what was meant")
        with store.writing(f"{FOLDER}a") as target:
            target.write(b"what lies there")
        with pytest.raises(VerifiedBad):
            writer.finish()
    assert isinstance(only(store), artifact.Construction)


def test_tiers_lie_apart_and_one_listing_tells_them_all(store: Store) -> None:
    written(store, {"a": b"1"})
    monthly = written(store, {"a": b"1"}, tier=Tier(prefix="monthly/"), subject=places.at_another(2))
    store.put_new("pgbackrest/archive/main/12-1/0000.gz", b"of others")
    assert monthly.address.folder.startswith("monthly/cosmos/workflows/")
    assert monthly.address.prefix == "monthly/"
    assert {found.address.folder for found in artifact.listing(store)} == {FOLDER, monthly.address.folder}
    assert [found.address.folder for found in artifact.listing(store, "monthly/")] == [monthly.address.folder]


@pytest.mark.parametrize("name", ["Archive", "GLACIER", "DEEP_ARCHIVE"])
def test_a_storage_class_that_cannot_be_read_back_is_refused(store: Store, name: str) -> None:
    opened_writer = artifact.write(store, SUBJECT, run="a", tier=Tier(storage_class=name))
    with pytest.raises(ConfigInvalid, match="read at once"):
        opened_writer.__enter__()
    assert list(artifact.listing(store)) == []


def test_an_identity_that_fits_no_recipient_is_told_while_writing(store: Store) -> None:
    for key, wanted in ((MINE, Severity.WARNING), (None, Severity.INFO), (YOURS, None)):
        with artifact.write(store, SUBJECT, run="a", identity=key, recipients=BOTH[1:]) as writer:
            pass
        told = {severity for severity, code in codes(writer.findings) if code == "not_readable_here"}
        assert told == ({wanted} if wanted else set())


@pytest.mark.parametrize("identity", [None, MINE], ids=["none", "another"])
def test_without_a_fitting_identity_the_content_could_not_be_verified(store: Store, identity: str | None) -> None:
    found = written(store, {"a": LINES}, recipients=BOTH[1:])
    verified = artifact.verify(store, found, depth="content", identity=identity)
    assert codes(verified.findings) == {(Severity.UNKNOWN, "not_decrypted")}
    assert verified.verdict is Verdict.COULD_NOT_VERIFY
    assert artifact.verify(store, found, depth="stored").verdict is Verdict.GOOD
    with pytest.raises(CouldNotVerify):
        read(store, found, "a", identity)


def overwrite(store: Store, name: str, data: bytes) -> None:
    with store.writing(name) as target:
        target.write(data)


@pytest.mark.parametrize("compression", ["zstd", "none"])
@pytest.mark.parametrize("recipients", [(), BOTH])
def test_a_flipped_byte_is_bad_wherever_it_is(store: Store, compression: str, recipients: tuple[str, ...]) -> None:
    found = written(store, {"a": LINES}, compression=compression, recipients=recipients)
    [file] = found.manifest.files
    whole = store.get(FOLDER + file.stored)
    for at in (0, 40, 200, len(whole) // 2, len(whole) - 1):
        overwrite(store, FOLDER + file.stored, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for depth in ("stored", "content"):
            verified = artifact.verify(store, found, depth=depth, identity=MINE)
            assert codes(verified.findings) == {(Severity.BAD, "file_changed")}, (at, depth)
        with pytest.raises(VerifiedBad):
            read(store, found, "a", MINE)


def test_content_that_is_not_what_was_hashed_on_the_way_in_is_bad(store: Store) -> None:
    found = written(store, {"a": LINES})
    [file] = found.manifest.files
    for wrong in (replace(file, sha256="0" * 64), replace(file, size=file.size + 1)):
        with pytest.raises(VerifiedBad, match="content"):
            list(content(store, FOLDER, wrong, None))


def test_a_truncated_a_longer_and_a_missing_file_are_bad_by_the_listing_alone(store: Store) -> None:
    found = written(store, {"a": LINES, "b": LINES, "c": LINES, "d": b"1"})
    whole = store.get(f"{FOLDER}a.zst")
    overwrite(store, f"{FOLDER}a.zst", whole[:-1])
    overwrite(store, f"{FOLDER}b.zst", whole + b"1")
    store.delete(f"{FOLDER}c.zst")
    for depth in ("listed", "stored", "content"):
        assert codes(artifact.verify(store, found, depth=depth).findings) == {
            (Severity.BAD, "file_truncated"),
            (Severity.BAD, "file_changed"),
            (Severity.BAD, "file_missing"),
        }


def test_a_changed_manifest_makes_the_artifact_broken(store: Store) -> None:
    written(store, {"a": LINES})
    whole = store.get(f"{FOLDER}manifest.json")
    loaded = orjson.loads(whole)
    changed = orjson.dumps(loaded | {"counts": {"documents": 1}})
    for data in (changed, whole[:-10], b"", whole.replace(b"cosmos", b"cosmoz"), b"[]"):
        overwrite(store, f"{FOLDER}manifest.json", data)
        found = only(store)
        assert isinstance(found, artifact.Broken)
        assert (found.finding.severity, found.finding.code) == (Severity.BAD, "manifest_changed")


def test_a_manifest_of_another_artifact_is_no_manifest(store: Store) -> None:
    other = written(store, {"a": b"1"}, subject=places.at_another(3))
    foreign = store.get(f"{other.address.folder}manifest.json")
    written(store, {"a": b"1"})
    overwrite(store, f"{FOLDER}manifest.json", foreign)
    assert isinstance(artifact.find(store, FOLDER), artifact.Broken)


def test_a_lost_or_changed_record_is_bad(store: Store) -> None:
    found = written(store, {"a": LINES})
    name = f"{FOLDER}records/a.json"
    record = opened(Record, store.get(name), name)
    for changed in (store.get(name).replace(b"50000", b"50001"), sealed(replace(record, pieces=(7,)))):
        overwrite(store, name, changed)
        told = artifact.verify(store, found, depth="stored", subset=(1, 2))
        assert codes(told.findings) == {(Severity.BAD, "file_changed")}
        assert "records/a.json" in told.findings[0].message
    store.delete(name)
    assert (Severity.BAD, "record_missing") in codes(artifact.verify(store, found, depth="listed").findings)


def test_after_all_slices_every_byte_was_read_once_and_one_slice_finds_the_flipped_byte(store: Store) -> None:
    data = noise(2 * _PIECE + 5)
    found = written(store, {"a": b"1", "b": data, "c": noise(_PIECE)}, compression="none")
    for of in (1, 2, 3, 7):
        slices = [artifact.verify(store, found, subset=(n, of)) for n in range(1, of + 1)]
        assert sum(each.read_bytes for each in slices) == found.manifest.stored_size
        assert {each.verdict for each in slices} == {Verdict.GOOD}
    overwrite(store, f"{FOLDER}b", data[:-1] + bytes([data[-1] ^ 1]))
    verdicts = [artifact.verify(store, found, subset=(n, 5)).verdict for n in range(1, 6)]
    assert sorted(verdicts) == [Verdict.BAD, *[Verdict.GOOD] * 4]


def test_results_are_kept_beside_the_artifact(store: Store) -> None:
    found = written(store, {"a": b"1"})
    verified = artifact.verify(store, found, depth="stored", subset=(2, 3))
    name = artifact.keep(store, verified, run="a-run", at=places.INSTANT)
    assert name == f"{FOLDER}verified/20260801T020000.123Z-stored-2of3.json"
    assert orjson.loads(store.get(name))["verdict"] == "good"
    again = artifact.find(store, FOLDER)
    assert isinstance(again, artifact.Artifact)
    assert again.verified == ("20260801T020000.123Z-stored-2of3",)


@pytest.mark.parametrize("name", ["", "/a", "a//b", "../a", "a/../b", "manifest.json", "records/a", ".a", "a b", "ä"])
def test_hostile_names_of_files_are_refused(store: Store, name: str) -> None:
    with (
        artifact.write(store, SUBJECT, run="a") as writer,
        pytest.raises(ValueError, match="no name"),
        writer.file(name),
    ):
        pass


def test_several_files_can_be_written_by_threads_at_once(store: Store) -> None:
    data = {f"part-{n}": noise(3 << 20) for n in range(6)}
    with artifact.write(store, SUBJECT, run="a") as writer:

        def one(name: str) -> None:
            with writer.file(name) as sink:
                sink.write(data[name])

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(one, data))
        writer.finish(files=list(data))
    found = only(store)
    assert isinstance(found, artifact.Artifact)
    assert {name: read(store, found, name) for name in data} == data
