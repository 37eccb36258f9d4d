"""Journals tell what was done, and tell when they were torn, altered or removed."""

import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbops import redact
from dbops.engine import journal, stop
from dbops.errors import DbopsError, LockBusy, Refused, Stopped


def write(state: Path, run: str, *events: str, target: str = "audit") -> Path:
    with journal.opened(state, run, target, command="roles apply") as log:
        for event in events:
            log.write(event)
    return log.path


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A disk that takes only as many bytes as `disk[0]` says, once there is one."""
    room: list[int] = []
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if not room:
            return real(descriptor, data)
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, bytes(data)[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        yield room


def test_each_line_hashes_the_one_before_and_each_journal_the_first_line_of_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, "1", "plan", "start", "done")
    write(tmp_path, "2")
    first, second = (journal.read(tmp_path, name) for name in journal.names(tmp_path))
    assert [r.event for r in first.records] == ["begin", "plan", "start", "done", "end"]
    assert (first.outcome, first.torn, first.broken_at, first.previous) == ("done", False, None, None)
    assert (second.previous, second.previous_hash) == ("1-audit", first.first_hash)
    assert journal.missing_link(tmp_path, second) is None


def test_the_closing_record_of_the_journal_before_cannot_be_altered_or_removed(tmp_path: Path) -> None:
    path = write(tmp_path, "1", "plan")
    write(tmp_path, "2")
    whole = path.read_bytes()
    second = journal.read(tmp_path, "2-audit")
    for altered in (whole.replace(b'"outcome": "done"', b'"outcome": "fail"'), b"".join(lines(path)[:-1]), whole[:-5]):
        path.write_bytes(altered)
        assert journal.missing_link(tmp_path, second) == "the journal before it, 1-audit, was rewritten"
    path.write_bytes(whole)
    assert journal.missing_link(tmp_path, second) is None


def test_a_journal_that_goes_on_while_others_begin_is_not_taken_for_altered(tmp_path: Path) -> None:
    with journal.opened(tmp_path, "1", "audit") as log:
        log.write("start")
        write(tmp_path, "2")
        log.write("done")
    second = journal.read(tmp_path, "2-audit")
    assert journal.missing_link(tmp_path, second) is None
    log.path.write_bytes(log.path.read_bytes().replace(b'"start"', b'"stop!"'))
    assert journal.missing_link(tmp_path, second) is not None


def test_every_line_is_on_disk_before_write_returns(tmp_path: Path) -> None:
    with journal.opened(tmp_path, "1", "audit") as log:
        log.write("start", step="a")
        assert [json.loads(line)["event"] for line in lines(log.path)] == ["begin", "start"]
        assert journal.read(tmp_path, "1-audit").outcome == "unfinished"


@pytest.mark.parametrize(
    ("error", "code"),
    [(Refused("no"), 9), (ValueError("no"), 1), (Stopped(15), 143), (KeyboardInterrupt(), 130)],
    ids=["refused", "bug", "sigterm", "ctrl-c"],
)
def test_a_run_that_fails_says_so_in_its_closing_record(tmp_path: Path, error: BaseException, code: int) -> None:
    with pytest.raises(type(error)), journal.opened(tmp_path, "1", "audit"):
        raise error
    last = journal.read(tmp_path, "1-audit").records[-1]
    assert (last.event, last.facts["outcome"], last.facts["exit_code"]) == ("end", "failed", code)
    assert type(error).__name__ in last.facts["error"]


def test_a_run_that_was_killed_is_unfinished_and_its_torn_line_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "1", "plan")
    path.write_bytes(b"".join(lines(path)[:-1]) + b'{"at": "2026-')
    read = journal.read(tmp_path, "1-audit")
    assert (read.outcome, read.torn, read.broken_at) == ("unfinished", True, None)
    assert [r.event for r in read.records] == ["begin", "plan"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_altered_line_is_noticed_at_the_next_one(tmp_path: Path, number: int) -> None:
    path = write(tmp_path, "1", "plan", "start")
    whole = lines(path)
    whole[number - 1] = whole[number - 1].replace(b'"at": "2', b'"at": "3')
    path.write_bytes(b"".join(whole))
    assert journal.read(tmp_path, "1-audit").broken_at == number + 1


def test_a_removed_line_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, "1", "plan", "start")
    whole = lines(path)
    path.write_bytes(b"".join(whole[:1] + whole[2:]))
    assert journal.read(tmp_path, "1-audit").broken_at == 2


@pytest.mark.parametrize("line", [b"no json", b"[]", b"5", b"{}", b'"x"', b"\xff", b"[" * 100_000, b'{"after": 1}'])
def test_a_line_that_is_no_record_is_an_alteration_and_no_crash(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path, "1", "plan")
    path.write_bytes(lines(path)[0] + line + b"\n" + b"".join(lines(path)[1:]))
    assert journal.read(tmp_path, "1-audit").broken_at == 2


def test_an_empty_journal_is_unfinished(tmp_path: Path) -> None:
    write(tmp_path, "1").write_bytes(b"")
    assert journal.read(tmp_path, "1-audit").outcome == "unfinished"


def test_a_removed_journal_is_missed_by_the_next(tmp_path: Path) -> None:
    write(tmp_path, "1").unlink()
    write(tmp_path, "2")
    assert "1-audit, is gone" in str(journal.missing_link(tmp_path, journal.read(tmp_path, "2-audit")))


def test_a_journal_that_was_rewritten_from_its_first_line_is_missed_by_the_next(tmp_path: Path) -> None:
    path = write(tmp_path, "1")
    write(tmp_path, "2")
    path.write_bytes(lines(path)[0].replace(b"roles apply", b"roles check"))
    assert journal.read(tmp_path, "1-audit").broken_at is None
    assert "1-audit, was rewritten" in str(journal.missing_link(tmp_path, journal.read(tmp_path, "2-audit")))


def test_a_lost_last_file_does_not_begin_a_second_chain(tmp_path: Path) -> None:
    write(tmp_path, "1")
    (journal.folder(tmp_path) / ".last").unlink()
    write(tmp_path, "2")
    read = journal.read(tmp_path, "2-audit")
    assert read.previous == "1-audit"
    assert journal.missing_link(tmp_path, read) is None


def test_an_edited_last_file_is_told_by_the_next_journal(tmp_path: Path) -> None:
    write(tmp_path, "1")
    (journal.folder(tmp_path) / ".last").write_bytes(b"\xff")
    write(tmp_path, "2")
    assert "could not be read" in str(journal.missing_link(tmp_path, journal.read(tmp_path, "2-audit")))


# A journal is opened in two phases: the new file, then `.last`, then the file's real name. Kill -9 may hit between any.


def test_a_kill_before_last_names_the_new_journal_undoes_it(tmp_path: Path) -> None:
    write(tmp_path, "1")
    room = journal.folder(tmp_path)
    (room / ".opening-2-audit.jsonl").write_bytes(b'{"event": "begin"')
    write(tmp_path, "3")
    assert journal.names(tmp_path) == ["1-audit", "3-audit"]
    assert not list(room.glob(".opening*"))
    read = journal.read(tmp_path, "3-audit")
    assert read.previous == "1-audit"
    assert journal.missing_link(tmp_path, read) is None


def test_a_kill_after_last_names_the_new_journal_finishes_it(tmp_path: Path) -> None:
    write(tmp_path, "1")
    path = write(tmp_path, "2")
    path.write_bytes(lines(path)[0])
    path.rename(path.with_name(f".opening-{path.name}"))
    write(tmp_path, "3")
    assert journal.names(tmp_path) == ["1-audit", "2-audit", "3-audit"]
    assert journal.read(tmp_path, "2-audit").outcome == "unfinished"
    read = journal.read(tmp_path, "3-audit")
    assert read.previous == "2-audit"
    assert journal.missing_link(tmp_path, read) is None


@given(st.lists(st.sampled_from(["whole", "before", "after"]), min_size=1, max_size=6))
@settings(max_examples=25)
def test_however_runs_were_killed_while_opening_the_chain_has_no_gap(
    tmp_path_factory: pytest.TempPathFactory, kills: list[str]
) -> None:
    state = tmp_path_factory.mktemp("state")
    room = journal.folder(state)
    for number, kill in enumerate(kills):
        last = (room / ".last").read_bytes() if (room / ".last").exists() else None
        path = write(state, str(number))
        if kill != "whole":
            path.rename(path.with_name(f".opening-{path.name}"))
        if kill == "before":
            (room / ".last").unlink() if last is None else (room / ".last").write_bytes(last)
    write(state, "9")
    reads = [journal.read(state, name) for name in journal.names(state)]
    assert [r.previous for r in reads] == [None, *(r.name for r in reads[:-1])]
    assert [journal.missing_link(state, r) for r in reads] == [None] * len(reads)
    assert len(reads) == 1 + sum(kill != "before" for kill in kills)


# ── Secrets, hostile texts, full disks ───────────────────────────────────────────────────────────


@given(st.text(), st.text(min_size=1))
def test_any_text_is_read_back_and_no_secret_is_kept(
    tmp_path_factory: pytest.TempPathFactory, text: str, key: str
) -> None:
    state = tmp_path_factory.mktemp("state")
    redact.register('hunter"22é')
    with journal.opened(state, "1", "audit", note=text) as log:
        log.write("start", said=[text, {key: f'password=hunter22" {text}'}], error='it is hunter"22é', path=Path("/x"))
    read = journal.read(state, "1-audit")
    assert (read.broken_at, read.torn, read.outcome) == (None, False, "done")
    whole = log.path.read_text(encoding="utf-8")
    assert "hunter22" not in whole
    assert 'hunter\\"22' not in whole


def test_a_secret_that_stands_in_a_hash_by_chance_breaks_no_chain(tmp_path: Path) -> None:
    first = write(tmp_path, "1")
    redact.register(hashlib.sha256(first.read_bytes()).hexdigest()[:4])
    redact.register("1-audit")
    write(tmp_path, "2")
    assert journal.missing_link(tmp_path, journal.read(tmp_path, "2-audit")) is None


def test_a_full_disk_fails_the_step_and_leaves_whole_lines(tmp_path: Path, disk: list[int]) -> None:
    def run() -> None:
        with journal.opened(tmp_path, "1", "audit") as log:
            disk.append(10)
            log.write("start", step="a")

    with pytest.raises(DbopsError, match="cannot be written"):
        run()
    read = journal.read(tmp_path, "1-audit")
    assert (read.outcome, read.torn, read.broken_at) == ("unfinished", False, None)


def test_a_disk_that_fills_during_a_failure_does_not_hide_the_failure(tmp_path: Path, disk: list[int]) -> None:
    def run() -> None:
        with journal.opened(tmp_path, "1", "audit"):
            disk.append(10)
            raise Refused("the reason")

    with pytest.raises(Refused, match="the reason"):
        run()
    assert not journal.read(tmp_path, "1-audit").torn


def test_a_full_disk_at_the_opening_leaves_nothing_that_the_next_run_minds(tmp_path: Path, disk: list[int]) -> None:
    write(tmp_path, "1")
    disk.append(10)
    with pytest.raises(DbopsError, match="cannot be written"):
        write(tmp_path, "2")
    disk.clear()
    write(tmp_path, "3")
    assert journal.names(tmp_path) == ["1-audit", "3-audit"]
    assert journal.missing_link(tmp_path, journal.read(tmp_path, "3-audit")) is None


def test_a_state_directory_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(Refused, match="journal cannot be written") as error:
        write(tmp_path / "state", "1")
    assert "[platform] state_dir" in str(error.value.hint)


def test_there_are_no_journals_before_the_first(tmp_path: Path) -> None:
    assert journal.names(tmp_path) == []
    with pytest.raises(Refused, match="cannot be read"):
        journal.read(tmp_path, "absent")


# ── Others that open a journal at the same moment ────────────────────────────────────────────────


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose chain another holds."""
    room = journal.folder(tmp_path)
    room.mkdir()
    with (room / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield tmp_path


def test_waiting_for_another_that_opens_its_journal_ends(busy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_PATIENCE_S", 0.0)
    with pytest.raises(LockBusy, match="opening its journal"):
        write(busy, "1")


def test_a_request_to_stop_ends_that_waiting(busy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "_signal_number", 15)
    monkeypatch.setattr(time, "sleep", pytest.fail)
    with pytest.raises(Stopped):
        write(busy, "1")
