"""What pgBackRest says, read: broken bytes, odd lines, exit codes."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops import process
from dbops.config.model import Cluster
from dbops.errors import ConfigInvalid, CouldNotVerify, DbopsError, LockBusy, Refused, Unreachable
from dbops.stores import pgbackrest

STANZA = (
    b'[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000008","min":'
    b'"000000010000000000000001"}],"backup":[{"annotation":{"reason":"nightly"},"archive":{"start":'
    b'"000000010000000000000003","stop":"000000010000000000000003"},"backrest":{"format":5,"version":"2.45"},'
    b'"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":23394134,"repository":{"delta":3006549,"size":'
    b'3006549},"size":23394134},"label":"20261120-194802F","lsn":{"start":"0/3000028","stop":"0/3000138"},"prior":null,'
    b'"reference":null,"timestamp":{"start":1795204082,"stop":1795204085},"type":"full"},{"archive":{"start":'
    b'"000000010000000000000005","stop":"000000010000000000000005"},"backrest":{"format":5,"version":"2.45"},"database":'
    b'{"id":1,"repo-key":1},"error":false,"info":{"delta":155914,"repository":{"delta":12972,"size":3007617},"size":'
    b'23402326},"label":"20261120-194802F_20261120-194805D","lsn":{"start":"0/5000028","stop":"0/5000100"},"prior":'
    b'"20261120-194802F","reference":["20261120-194802F"],"timestamp":{"start":1795204085,"stop":1795204087},"type":'
    b'"diff"}],"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7710342762953982607,"version":"15"}],"name":"demo",'
    b'"repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":'
    b'true}},"message":"ok"}}]'
)


def test_a_stanza_with_two_backups_is_read() -> None:
    [stanza] = pgbackrest.parse_info(STANZA)
    assert (stanza.name, stanza.status, stanza.backup_running) == ("demo", pgbackrest.OK, True)
    assert stanza.databases[0].system_id == 7710342762953982607
    assert stanza.archives[0].last == "000000010000000000000008"
    full, diff = stanza.backups
    assert full.stopped == datetime(2026, 11, 20, 19, 48, 5, tzinfo=UTC)
    assert (full.kind, full.prior, full.references, full.annotations) == ("full", None, (), (("reason", "nightly"),))
    assert (diff.kind, diff.prior, diff.references) == ("diff", full.label, (full.label,))
    assert (diff.size, diff.repository_delta, diff.wal_stop) == (23402326, 12972, "000000010000000000000005")


def test_broken_bytes_and_control_characters_are_read_all_the_same() -> None:
    told = b'[{"name":"demo","status":{"code":99,"message":"bad \xff\xfe\x01 bytes\nhere"},"repo":[]}]'
    [stanza] = pgbackrest.parse_info(told)
    assert stanza.status == pgbackrest.OTHER
    assert "bytes" in stanza.message


def test_no_stanza_is_an_empty_answer() -> None:
    assert pgbackrest.parse_info(b"[]") == ()


odd = st.recursive(st.none() | st.integers() | st.text(min_size=1), lambda inner: st.lists(inner, min_size=1))


@given(st.binary().filter(lambda raw: raw.strip() not in (b"[]", b"{}", b'""')) | odd.map(json.dumps).map(str.encode))
def test_whatever_else_is_told_could_not_be_verified(raw: bytes) -> None:
    with pytest.raises(CouldNotVerify, match="not understood"):
        pgbackrest.parse_info(raw)


@pytest.mark.parametrize("cut", [1, 200, 700, len(STANZA) - 1])
def test_a_truncated_answer_could_not_be_verified(cut: int) -> None:
    with pytest.raises(CouldNotVerify):
        pgbackrest.parse_info(STANZA[:cut])


def test_lines_are_read_with_and_without_a_time() -> None:
    said = pgbackrest.messages(
        "ERROR: [056]: unable to find primary cluster - cannot proceed\n"
        "       HINT: are all available clusters in recovery?\n"
        "2026-11-20 19:48:05.208 P00   WARN: option 'repo1-retention-full' is not set\n"
        "                              the repository may run out of space\n"
        "P01 DETAIL: more\n"
        "something else"
    )
    assert [(each.level, each.number) for each in said] == [
        ("ERROR", 56),
        ("HINT", None),
        ("WARN", None),
        ("DETAIL", None),
    ]
    assert said[0].text == "unable to find primary cluster - cannot proceed"
    assert said[2].text.endswith("is not set the repository may run out of space")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((37, ConfigInvalid), (50, LockBusy), (56, Unreachable), (82, Unreachable)),
        *((41, Refused), (75, Refused), (99, DbopsError)),
    ],
)
def test_an_exit_code_tells_the_kind_of_failure(code: int, kind: type[DbopsError]) -> None:
    last = [f"ERROR: [{code:03}]: it did not go well", "       HINT: try this", "       HINT: or that"]
    told = pgbackrest.told(process.ProgramFailed("pgbackrest", code, last), "main")
    assert type(told) is kind
    assert told.message == f"pgbackrest: it did not go well [{code:03}]"
    assert (told.hint, told.target) == ("try this; or that", "main")


def test_a_failure_without_words_keeps_its_last_lines() -> None:
    told = pgbackrest.told(process.ProgramFailed("pgbackrest", 127, ["libzstd.so is missing"]), "main")
    assert "libzstd.so is missing" in told.message


def test_it_runs_as_the_owner_of_the_cluster_and_never_as_root_by_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pgbackrest.run_as(Cluster(dsn="", run_as="backup"), target="main") == "backup"
    own = pgbackrest.run_as(Cluster(dsn="", data_directory=tmp_path), target="main")
    assert own == process.current_user()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(Refused, match="as root"):
        pgbackrest.run_as(Cluster(dsn=""), target="main")


def test_a_cluster_without_a_stanza_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigInvalid, match="no stanza"):
        pgbackrest.info(Cluster(dsn=""), target="main")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("ERROR: [064]: unable to write '/r/base/5/1.zst': [28] No space left on device", "/r/base/5/1.zst"),
        ("ERROR: [064]: raised from local-1 protocol: unable to write '/r/1'", "/r/1"),
        ("unable to write '/r/1' [FileWriteError] on retry after 0ms [FileWriteError] on retry after 15000ms", "/r/1"),
        ("ERROR: [047]: unable to create path '/r/b': [28] No space left on device", "/r/b"),
        ("ERROR: [064]: unable to write '/r/1': [5] Input/output error", None),
        ("ERROR: [041]: unable to open file '/r/1' for write: [13] Permission denied", None),
    ],
)
def test_a_full_disk_is_known_also_by_a_write_that_took_only_a_part(text: str, path: str | None) -> None:
    assert pgbackrest.out_of_space(text) == path
