"""Scratch copies of clusters that are not plain: tablespaces, raised settings, a bare host, what is wrong in them."""

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from dbops.config.load import load
from dbops.config.model import Config
from dbops.engine import clock
from dbops.engine import run as runs
from dbops.engine.finding import Finding
from dbops.errors import VerifiedBad
from dbops.operations.clusters.reach import ready as reaching
from dbops.operations.clusters.reach.facts import Target
from dbops.operations.clusters.restore import goals, places, ready, sweeping
from dbops.operations.clusters.restore.apply import Told
from dbops.operations.clusters.restore.facts import Aim, Goal, Wanted
from dbops.servers import account, postgres, scratch

import clustering
from clustering import TARGET

_PASS = "very secret pass"

Ask = Callable[[psycopg.Connection], None]


def _restored(
    config: Config, state: Path, ask: Ask = lambda _: None, *, goal: Goal | None = None, verify: bool = False
) -> tuple[Told, list[Finding]]:
    """Restore the end of the archive, and ask the copy while it is there."""
    run, told = runs.new("pitr restore", state), Told()

    def choose() -> Goal:
        return goal or goals.goal(reaching.plan_target(config, TARGET, Target("latest"), run, clock.now()))

    with ready.scratch(
        config, TARGET, run, choose, wanted=Wanted(verify=verify), now=clock.now(), told=told
    ) as planned:
        for step in planned.plan.steps:
            planned.apply(step)
            if step.id == "start":
                with psycopg.connect(postgres.conninfo(scratch.at(Path(told.restored[-1].folder)))) as connection:
                    ask(connection)
    return told, told.findings


def _notes(expected: list[str]) -> Ask:
    def ask(connection: psycopg.Connection) -> None:
        assert [note for (note,) in connection.execute("SELECT note FROM kept ORDER BY id")] == expected

    return ask


def test_tablespaces_and_links_land_below_the_scratch_folder_alone(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        outside = account.make_folder(folder / "outside")
        with live.connect() as connection:
            connection.execute(f"CREATE TABLESPACE fast LOCATION '{outside}'".encode())
            connection.execute("CREATE TABLE far (n int) TABLESPACE fast")
            connection.execute("INSERT INTO far SELECT generate_series(1, 1000)")
        live.keep("one")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        before = sorted(str(path) for path in outside.rglob("*"))

        def ask(connection: psycopg.Connection) -> None:
            assert connection.execute("SELECT count(*) FROM far").fetchone() == (1000,)
            row = connection.execute("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'")
            assert "/scratch/" in str(row.fetchone())

        assert _restored(live.config, folder / "state", ask)[1] == []
        assert sorted(str(path) for path in outside.rglob("*")) == before


def test_settings_that_were_raised_after_the_backup_are_raised_in_the_copy_too(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("one")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        with live.connect() as connection:
            connection.execute("ALTER SYSTEM SET max_connections = 150")
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        postgres.stop(live.server)
        postgres.start(live.server)
        live.keep("two")
        live.switch()

        def ask(connection: psycopg.Connection) -> None:
            _notes(["one", "two"])(connection)
            assert connection.execute("SHOW max_connections").fetchone() == ("150",)
            assert connection.execute("SHOW shared_preload_libraries").fetchone() == ("",)

        assert _restored(live.config, folder / "state", ask)[1] == []


def test_a_copy_tells_what_is_not_right_in_it(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("one")
        with live.connect() as connection:
            connection.execute("CREATE MATERIALIZED VIEW empty AS SELECT 1 AS n WITH NO DATA")
            connection.execute("SELECT setval(pg_get_serial_sequence('kept', 'id'), 1, false)")
            connection.execute("CREATE TABLE doubled (n int); INSERT INTO doubled VALUES (1), (1)")
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("CREATE UNIQUE INDEX CONCURRENTLY doubled_n ON doubled (n)")
            connection.execute(
                "CREATE TABLE broken (n int PRIMARY KEY); INSERT INTO broken SELECT generate_series(1, 9)"
            )
            connection.execute("SET allow_system_table_mods = on")
            # an index that lies: its table is emptied behind its back
            connection.execute("CREATE TABLE other (n int); INSERT INTO other SELECT generate_series(20, 29)")
            connection.execute(
                "UPDATE pg_class SET relfilenode = (SELECT relfilenode FROM pg_class WHERE relname = 'other')"
                " WHERE relname = 'broken'"
            )
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        _, findings = _restored(live.config, folder / "state", verify=True)
        assert {"DBB611", "DBB613", "DBB614", "DBB615"} <= {one.code for one in findings}
        [lying] = [one for one in findings if one.code == "DBB611"]
        assert "broken_pkey" in lying.message
        assert lying.exit_code == 4


def test_a_copy_that_cannot_be_removed_keeps_nobody_from_the_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clustering.under_backup(folder) as live:
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        dead = runs.new("pitr restore", folder / "state")
        left = places.describe(dead, TARGET, None)
        places.room(dead.state_dir).mkdir(parents=True)
        places.make(dead.state_dir, left)
        real = account.remove_folder

        def stuck(path: Path) -> None:
            if path.is_relative_to(left.folder):
                raise OSError(errno.EBUSY, "Device or resource busy", str(path))
            real(path)

        with monkeypatch.context() as patched:
            patched.setattr(account, "remove_folder", stuck)
            told, findings = _restored(live.config, folder / "state")
            assert told.restored
            assert [one.code for one in findings] == ["DBB606"]
            assert [one.code for one in sweeping.swept(live.run("backup run"), clock.now())] == ["DBB606"]
        assert left.home.exists()
        assert sweeping.swept(live.run("backup run", plan_only=True), clock.now()) == ()
        assert [one.code for one in sweeping.swept(live.run("backup run"), clock.now())] == ["DBB607"]
        assert not any((folder / "state" / "scratch").iterdir())
        assert sweeping.swept(live.run("backup run"), clock.now()) == ()


def test_records_that_were_never_whole_go_with_the_next_run(folder: Path) -> None:
    """Their runs were killed while they wrote: one its first record, the other a later one."""
    first, later = (places.describe(runs.new("pitr restore", folder / "state"), TARGET, None) for _ in range(2))
    room = places.room(folder / "state")
    room.mkdir(parents=True)
    places.make(folder / "state", later)
    for one in (first, later):
        (room / f"{one.name}.lock").touch()
        (room / f".{one.name}.json.new").write_text('{"name"', encoding="utf-8")
    run = runs.new("pitr restore", folder / "state")
    places.sweep(run)
    assert {entry.name for entry in room.iterdir() if first.name in entry.name} == set()
    assert [one.code for one in sweeping.swept(run, clock.now())] == ["DBB607"]
    assert list(room.iterdir()) == []


def test_a_set_that_is_newer_than_its_target_is_never_taken_for_it(folder: Path) -> None:
    """The tool itself restores it, starts, promotes, and says nothing."""
    with clustering.under_backup(folder) as live:
        early = live.keep("one")
        live.keep("two")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        latest = goals.goal(reaching.plan_target(live.config, TARGET, Target("latest"), live.run(), clock.now()))
        aim = Aim(latest.aim.label, "time", early.strftime("%Y-%m-%d %H:%M:%S.%f+00"))
        with pytest.raises(VerifiedBad):
            _restored(live.config, folder / "state", goal=replace(latest, aim=aim))
        assert not any((folder / "state" / "scratch").iterdir())


def test_a_host_with_only_the_repository_the_vault_and_the_secrets_recovers_an_encrypted_cluster(folder: Path) -> None:
    old, new = account.make_folder(folder / "old", 0o711), account.make_folder(folder / "new", 0o711)
    (folder / "pass").write_text(_PASS)
    (folder / "pass").chmod(0o600)
    with clustering.under_backup(old) as live:
        second = account.make_folder(old / "second")
        conf = live.stanza.config
        more = f"[global]\nrepo2-path={second}\nrepo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass={_PASS}\n"
        account.write_file(conf, conf.read_text().replace("[global]\n", more))
        live.pgbackrest("stanza-create")
        live.keep("one")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto", "--repo=2")
        live.keep("two")
        live.switch()
        shutil.copytree(second, new / "repo")
    repository = new / "repo"
    for path in (repository, *repository.rglob("*")):
        account.give(path)
    shutil.rmtree(old)  # all that the host had
    account.write_file(
        new / "pgbackrest.conf",
        f"[global]\nrepo1-path={repository}\nrepo1-cipher-type=aes-256-cbc\nlog-path={new}\nlock-path={new}\n"
        f"[{TARGET}]\npg1-path=/nowhere\n",
    )
    (new / "dbops.toml").write_text(
        f'[platform]\nname = "t"\nstate_dir = "{new}/state"\n[cluster.{TARGET}]\ndsn = "host=/nowhere"\n'
        f'stanza = "{TARGET}"\npgbackrest_config = "{new}/pgbackrest.conf"\nrun_as = "{account.name()}"\n'
        f'repository = {{ 1 = {{ cipher = {{ file = "{folder}/pass" }} }} }}\n'
    )
    told, findings = _restored(load(new / "dbops.toml").config, new / "state", _notes(["one", "two"]), verify=True)
    assert {one.code for one in findings} == {"DBB620"}
    assert told.restored[0].verdict == "good"
