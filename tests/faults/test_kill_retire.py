"""kill -9 anywhere in `partition retire` and `restore`, overlapping runs, a full vault: the end is always the same."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from killing import Zygote, kills, moment
from migrating import make_databases
from retiring import Audit

_CHAIN = 6
_DBOPS = Path(sys.executable).with_name("dbops")
_ROWS = """
    SELECT count(*), count(DISTINCT id), md5(string_agg(e::text, ',' ORDER BY id)) FROM audit_events e"""


@pytest.fixture
def audit(server: str, folder: Path) -> Generator[Audit]:
    made = Audit(make_databases(server, folder, "audit"))
    made.configure()
    made.fill()
    yield made
    made.databases.drop()


def test_killed_retiring_is_finished_by_the_next_run(
    audit: Audit, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    retire = ("partition", "retire", "--yes", "--config", audit.config)
    clean = zygote.finished(*retire)
    wanted = audit.copies()
    assert {month: rows for month, (rows, _) in wanted.items()} == {"2020_01": 2232, "2020_02": 2088}
    done = 0
    while done < kills(60):
        audit.fill()
        for _ in range(_CHAIN):
            ended = zygote.run(*retire, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
            _nothing_is_lost(audit, wanted)
        zygote.finished(*retire)
        assert (audit.attached(), audit.graced()) == (["2099_01"], [])
        assert audit.copies() == wanted
        assert audit.sql("SELECT count(*) FROM audit_events") == [(0,)]
        told = json.loads(zygote.finished(*retire, "--plan", "--output", "json").out)
        assert told["data"]["steps"] == []
    record_property("kills", f"partition retire: {done} kills, a clean run takes {clean.seconds:.2f} s")


def _nothing_is_lost(audit: Audit, wanted: dict[str, tuple[int, str]]) -> None:
    """Every partition is there with all its rows, or has a copy of them that is whole."""
    copies = audit.copies()
    for month, (rows, digest) in wanted.items():
        found = audit.sql(
            "SELECT format('SELECT count(*) FROM %s', c.oid::regclass) FROM pg_class c"
            f" WHERE relname = 'audit_events_{month}' AND relkind = 'r'"
        )
        if found:
            assert audit.sql(str(found[0][0])) == [(rows,)]
        else:
            assert copies[month] == (rows, digest)


def test_killed_restoring_is_finished_by_the_next_run(
    audit: Audit, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    before = audit.sql(_ROWS)
    config = ("--yes", "--config", audit.config)
    zygote.finished("partition", "retire", *config)
    restores = [("partition", "restore", f"audit_events_2020_0{n}", "--target", "audit", *config) for n in (1, 2)]
    clean = [zygote.finished(*words) for words in restores]
    assert audit.sql(_ROWS) == before
    done = 0
    while done < kills(60):
        audit.sql("DROP TABLE audit_events_2020_01, audit_events_2020_02")
        for _ in range(_CHAIN):
            for words in restores:
                ended = zygote.run(*words, kill_after=moment(clean[0].seconds))
                assert ended.killed or ended.code == 0, ended.err
                done += ended.killed
        for words in restores:
            zygote.finished(*words)
        assert audit.sql(_ROWS) == before
        assert audit.attached() == ["2020_01", "2020_02", "2099_01"]
        assert audit.graced() == []
    record_property("kills", f"partition restore: {done} kills, a clean run takes {clean[0].seconds:.2f} s")


def test_three_overlapping_crons_end_as_one(audit: Audit) -> None:
    argv = [_DBOPS, "partition", "retire", "--yes", "--config", audit.config, "--lock-wait", "0s"]
    env = {**os.environ, "TMPDIR": str(audit.folder)}
    pipe = subprocess.PIPE
    runs = [subprocess.Popen(argv, cwd=audit.folder, env=env, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    told = [run.communicate(timeout=60)[1] for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert codes[0] == 0, told
    assert set(codes) <= {0, 11}, told
    assert (audit.attached(), audit.graced()) == (["2099_01"], [])
    assert {month: rows for month, (rows, _) in audit.copies().items()} == {"2020_01": 2232, "2020_02": 2088}


def test_a_full_vault_stops_it_before_the_first_detach_and_with_room_it_goes_on(audit: Audit) -> None:
    root = shlex.quote(str(audit.folder / "vault"))
    retire = f"{shlex.quote(str(_DBOPS))} partition retire --yes --config {shlex.quote(str(audit.config))}"
    script = "\n".join(
        (
            f"mount -t tmpfs -o size=64k none {root}",
            f"{retire}; echo full $?",
            f"find {root} -name '*unfinished*' | wc -l",
        )
    )
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c", script]
    env = {**os.environ, "TMPDIR": str(audit.folder)}
    done = subprocess.run(alone, cwd=audit.folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "full 9" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "0", "what was half written is removed"
    assert "No space left" in done.stderr
    assert audit.attached() == ["2020_01", "2020_02", "2099_01"]
    assert audit.copies() == {}
    subprocess.run(shlex.split(retire), cwd=audit.folder, env=env, capture_output=True, timeout=60, check=True)
    assert (audit.attached(), audit.graced()) == (["2099_01"], [])
