"""Verification against real repositories: what is found, and what is remembered of it."""

import fcntl
import json
import os
import random
import subprocess
from typing import Any

import pytest

from dbops.engine.finding import Verdict
from dbops.errors import LockBusy
from dbops.operations.clusters import locks, remembered
from dbops.operations.clusters.prove import names, observe
from dbops.operations.clusters.prove.facts import Outcome
from dbops.operations.clusters.prove.reading import Eye
from dbops.operations.clusters.remembered import Depth
from dbops.operations.clusters.repository import Listing
from dbops.redact import redact
from dbops.servers import account

import proving
from clustering import TARGET
from proving import Proving, flip


@pytest.fixture
def proof(proven: Proving) -> Proving:
    proven.reset()
    return proven


def codes(outcome: Outcome) -> set[str]:
    return {one.code for one in outcome.findings}


@pytest.mark.parametrize("depth", [Depth.QUICK, Depth.FULL])
def test_whole_repositories_are_good(proof: Proving, depth: Depth) -> None:
    outcome = proof.verify(depth=depth)
    assert outcome.verdict is Verdict.GOOD, outcome.findings
    assert [one.label for one in outcome.sets] == [*proof.labels(), *proof.labels(2)]
    assert outcome.kept is not None


@pytest.mark.parametrize(("number", "of"), [(1, 97), (2, 97)])
def test_a_flipped_byte_of_any_file_is_found_by_the_slice_that_the_file_is_in(
    proof: Proving, number: int, of: int
) -> None:
    assert proof.verify().verdict is Verdict.GOOD  # what carries no checksum is seen for the first time
    files = [one for one in proof.files(number) if one.stat().st_size]
    plain = [one for one in files if "pg_data/" in str(one)]
    wal = [one for one in files if "archive/" in str(one) and one.name[24:25] == "-"]
    rare = [one for one in files if one not in plain and one not in wal]
    some = [one for several in (plain, wal) for one in random.sample(several, min(4, len(several)))]
    for path in [*rare, *some]:
        at, bits = random.randrange(path.stat().st_size), random.randrange(1, 256)
        flip(path, at, bits)
        name = str(path.relative_to(proof.repo(number)))
        nth = next(n for n in range(1, of + 1) if names.within(name, (n, of)))
        assert proof.verify(subset=(nth, of)).verdict is Verdict.BAD, f"{name}: byte {at} ^ {bits:#x}"
        flip(path, at, bits)
    assert proof.verify().verdict is Verdict.GOOD


def test_an_info_file_that_is_too_much_for_pgbackrest_is_damage_all_the_same(proof: Proving) -> None:
    path = proof.repo() / "archive" / TARGET / "archive.info"
    at = path.read_bytes().index(b'"db-version":"') + len(b'"db-version":"')  # a version that it has never heard of
    flip(path, at, 0x47)
    outcome = proof.verify(depth=Depth.QUICK)
    flip(path, at, 0x47)
    codes = {one.code for one in outcome.findings}
    assert outcome.verdict is Verdict.BAD, outcome.findings
    assert {"DBB302", "DBB303"} <= codes, outcome.findings


def test_the_backup_that_somebody_takes_meanwhile_is_named_and_its_files_are_no_strangers(proof: Proving) -> None:
    full, _ = proof.labels()
    folder, label = proof.repo() / "backup" / TARGET, "20991231-235959F"
    subprocess.run(["cp", "-a", folder / full, folder / label], check=True)
    (folder / label / "backup.manifest").unlink()
    lock = proof.live.stanza.home / "lock" / f"{TARGET}-backup.lock"
    account.write_file(lock, "")
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"execId": f"{os.getpid()}-0123abcd", "pid": os.getpid()}))
        file.flush()
        outcome = proof.verify(depth=Depth.QUICK)
    assert outcome.verdict is Verdict.GOOD, outcome.findings
    [told] = [one for one in outcome.findings if one.code in {"DBB320", "DBB329"}]
    assert told.code == "DBB329"
    assert f"{label} is being taken just now" in told.message
    assert "DBB320" in codes(proof.verify(depth=Depth.QUICK)), "nobody is at work any more"


def test_what_was_found_good_is_not_read_again_unless_it_is_asked_for(proof: Proving) -> None:
    first = proof.verify()
    again = proof.verify(since_last=True)
    assert again.verdict is Verdict.GOOD
    assert again.segments == 0
    assert first.segments > 0
    assert all(one.skipped for one in again.sets)
    flip(proof.segments()[0])
    assert proof.verify(since_last=True).verdict is Verdict.GOOD
    assert proof.verify().verdict is Verdict.BAD
    assert proof.verify(since_last=True).verdict is Verdict.BAD, "what is bad stays bad"


def test_only_new_wal_is_read_since_the_last_time(proof: Proving) -> None:
    proof.verify()
    before = len(proof.segments())
    proof.live.keep("new")
    proof.live.switch()
    fresh = len(proof.segments()) - before
    outcome = proof.verify(since_last=True)
    assert outcome.segments == 2 * fresh > 0
    flip(proof.segments()[-1])
    assert proof.verify().verdict is Verdict.BAD


def test_a_set_is_no_better_than_the_one_it_is_built_on(proof: Proving) -> None:
    full, incr = proof.labels()
    flip(proof.repo() / "backup" / TARGET / full / "backup.manifest")  # which the other does not read
    outcome = proof.verify()
    told = {one.label: one.verdict for one in outcome.sets if one.repository == 1}
    assert told == {full: Verdict.BAD, incr: Verdict.BAD}
    assert {one.verdict for one in outcome.sets if one.repository == 2} == {Verdict.GOOD}
    assert proof.verify(label=incr).verdict is Verdict.BAD


def test_one_set_is_verified_alone(proof: Proving) -> None:
    _, incr = proof.labels()
    flip(proof.repo(2) / "backup" / TARGET / proof.labels(2)[0] / "backup.manifest")
    outcome = proof.verify(label=incr)
    assert outcome.verdict is Verdict.GOOD, outcome.findings
    assert [one.label for one in outcome.sets] == [incr]


def test_what_was_found_is_in_the_vault_with_the_system_it_is_of(proof: Proving) -> None:
    full, incr = proof.labels()
    flip(proof.repo() / "backup" / TARGET / incr / "backup.manifest")
    proof.verify()
    memory = remembered.memory(proof.live.config, proof.live.folder / "state")
    found = remembered.recall(memory.store, TARGET)
    stands = {label: remembered.last(found, repository=1, label=label) for label in (full, incr)}
    assert {label: one.verdict for label, one in stands.items() if one} == {full: Verdict.GOOD, incr: Verdict.BAD}
    assert all(one is not None and one.system_id for one in stands.values())


def test_no_pass_of_a_cipher_is_kept_or_told(proof: Proving) -> None:
    proof.verify()
    kept = [each.read_text(errors="replace") for each in (proof.live.folder / "vault").rglob("*.json")]
    kept += [each.read_text() for each in (proof.live.folder / "state" / "journal").glob("*.jsonl")]
    assert kept
    assert proving.PASS not in "".join(kept)
    manifest = f"backup/{TARGET}/{proof.labels(2)[0]}/backup.manifest"
    inner = proof.live.pgbackrest("repo-get", "--repo=2", manifest).out.decode()
    own = inner.partition('cipher-pass="')[2].partition('"')[0]
    assert own
    assert own not in "".join(kept)
    assert own not in redact(f"it is {own}")


def test_a_file_without_a_checksum_is_held_against_what_was_seen_first(proof: Proving) -> None:
    proof.verify()
    marker = next(one for one in proof.files() if one.name.endswith(".backup"))
    flip(marker)
    assert "DBB318" in codes(proof.verify())
    assert "DBB318" in codes(proof.verify()), "the first sight counts, not the last"


def test_the_server_may_be_down(proof: Proving) -> None:
    proof.configure(dsn="host=/nowhere port=1 user=postgres")
    assert proof.verify(depth=Depth.QUICK).verdict is Verdict.GOOD


def test_where_pgbackrest_verify_gives_up_every_file_is_read_all_the_same(proof: Proving) -> None:
    first = proof.segments()[0]
    first.write_bytes(b"x" + first.read_bytes()[1:])
    last = proof.segments()[-1]
    flip(last)
    found = proof.verify().findings
    assert "DBB316" in {one.code for one in found}
    told = [one.message for one in found if one.code == "DBB313"]
    assert {one for one in (first.name, last.name) if any(one in message for message in told)} == {
        first.name,
        last.name,
    }


def test_dbops_expires_nothing_while_it_verifies(proof: Proving, monkeypatch: pytest.MonkeyPatch) -> None:
    real, busy = observe.lying, list[str]()

    def expiring(*given: Any, **more: Any) -> observe.Lying:
        with pytest.raises(LockBusy) as refused, locks.unread(proof.live.run("backup expire"), TARGET):
            pass
        busy.append(refused.value.message)
        return real(*given, **more)

    monkeypatch.setattr(observe, "lying", expiring)
    assert proof.verify().verdict is Verdict.GOOD
    assert busy
    assert all("(backup verify)" in told for told in busy), busy
    with locks.unread(proof.live.run("backup expire"), TARGET):
        pass


def test_what_was_expired_meanwhile_is_not_called_damaged(proof: Proving, monkeypatch: pytest.MonkeyPatch) -> None:
    full, incr = proof.labels()
    real = observe.lying

    def expired_first(eye: Eye, listing: Listing) -> observe.Lying:
        if eye.repository == 1 and incr in proof.labels():
            proof.live.pgbackrest("expire", "--repo=1", f"--set={incr}")
        return real(eye, listing)

    monkeypatch.setattr(observe, "lying", expired_first)
    outcome = proof.verify()
    assert outcome.verdict is Verdict.GOOD, outcome.findings
    assert "DBB328" in codes(outcome)
    assert proof.labels() == [full]


def test_a_gap_that_was_acknowledged_is_told_and_no_alarm(proof: Proving) -> None:
    gone = proof.segments()[-2]
    gone.unlink()
    assert "DBB311" in codes(proof.verify(depth=Depth.QUICK))
    name = gone.name[:24]
    known = {"from": name, "to": name, "reason": "disk replaced", "on": "2026-11-20"}
    text = proof.live.toml.read_text()
    lost = ", ".join(f"{key} = {value if key == 'on' else chr(34) + value + chr(34)}" for key, value in known.items())
    proof.live.toml.write_text(f"{text}\n[cluster.{TARGET}.backup]\nlost = [{{{lost}}}]\n")
    outcome = proof.verify(depth=Depth.QUICK)
    assert outcome.verdict is Verdict.GOOD, outcome.findings
    assert "DBB312" in codes(outcome)
