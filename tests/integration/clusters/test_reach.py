"""Every target leads to the moment that was planned, proven by bare pgBackRest; what leads nowhere is refused."""

import shutil
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from conftest import fresh
from dbops.engine import clock, stop
from dbops.errors import CouldNotVerify, Refused, Stopped
from dbops.operations.clusters.reach import ready
from dbops.operations.clusters.reach.facts import Chosen, Target, Window
from dbops.servers import account, postgres

import clustering
from clustering import TARGET, Cluster


@dataclass(frozen=True)
class Story:
    """What happened to the cluster, in this order; moments lie after the row of their name."""

    live: Cluster
    full: str
    diff: str
    moments: dict[str, datetime]
    lsn: str  # after `two`, before `point`
    xid: str  # wrote `transaction`


def _label(live: Cluster) -> str:
    stanza = max(live.repository.glob("backup/main/20*"), key=lambda path: path.name)
    return stanza.name


@pytest.fixture(scope="module")
def story(base: Path) -> Generator[Story]:
    folder = fresh(base, "reach")
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as live:
        moments: dict[str, datetime] = {}

        def keep(*notes: str) -> None:
            moments.update({note: live.keep(note) for note in notes})

        keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        full = _label(live)
        keep("one", "two")
        with closing(live.connect()) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
            assert row is not None
            connection.execute("SELECT pg_create_restore_point('point')")
            with connection.transaction():
                xid = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
                connection.execute("INSERT INTO kept (note) VALUES ('transaction')")
        assert xid is not None
        keep("three")
        live.switch()
        live.pgbackrest("backup", "--type=diff", "--no-expire-auto")
        keep("four", "five")
        live.switch()
        yield Story(live, full, _label(live), moments, row[0], xid[0])


def chosen(live: Cluster, wanted: Target) -> Chosen:
    return ready.plan_target(live.config, TARGET, wanted, live.run("pitr plan"), clock.now())


def window(live: Cluster) -> Window:
    return ready.window(live.config, TARGET, live.run("pitr window"), clock.now())


def restored(live: Cluster, way: Chosen) -> list[str]:
    """Restore with the bare tool, exactly as it was chosen, and read the ledger."""
    home = live.folder / "copy"
    copy = postgres.Server(home, durable=False, settings=(("archive_mode", "off"),))
    account.make_folder(home)
    account.make_folder(copy.data)
    try:
        live.pgbackrest("restore", f"--pg1-path={copy.data}", "--archive-mode=off", *way.options.arguments())
        # its own restore_command names the copy; the rest of its settings is written at its start
        postgres.start(copy)
        with psycopg.connect(postgres.conninfo(copy, password=clustering.PASSWORD), autocommit=True) as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                connection.execute("SELECT pg_sleep(0.02)")
            return [note for (note,) in connection.execute("SELECT note FROM kept ORDER BY id")]
    finally:
        postgres.stop(copy)
        shutil.rmtree(home)


ALL = ["zero", "one", "two", "transaction", "three", "four", "five"]


@pytest.mark.parametrize(
    ("kind", "exclusive", "rows"),
    [
        ("at", False, 2),
        ("at", True, 3),
        ("lsn", False, 3),
        ("lsn", True, 3),
        ("xid", False, 4),
        ("xid", True, 3),
        ("name", False, 3),
        ("latest", False, 7),
        ("immediate", False, 5),
    ],
)
def test_the_bare_tool_brings_back_what_was_planned(story: Story, kind: str, exclusive: bool, rows: int) -> None:
    at = story.moments["two" if exclusive else "one"]
    value = {"lsn": story.lsn, "xid": story.xid, "name": "point"}.get(kind)
    wanted = Target(kind, at if kind == "at" else None, value, exclusive=exclusive)  # pyright: ignore[reportArgumentType]
    way = chosen(story.live, wanted)
    assert way.label == (story.diff if kind in {"latest", "immediate"} else story.full)
    assert restored(story.live, way) == ALL[:rows]
    if way.losses is not None:
        assert (way.losses.commits, way.losses.exact) == (7 - rows, True)


def test_both_sides_of_a_moment_are_commits_and_the_set_before_it_is_taken(story: Story) -> None:
    way = chosen(story.live, Target("at", at=story.moments["four"]))
    assert way.before is not None
    assert way.after is not None
    assert way.before.at <= story.moments["four"] < way.after.at
    assert way.chain in {(story.full, story.diff), (story.full,)}


def test_the_window_opens_with_the_first_set_and_ends_with_the_last_commit(story: Story) -> None:
    found = window(story.live)
    [one] = found.intervals
    assert one.since.exact
    assert one.until is not None
    assert one.until.exact
    assert one.since.at <= story.moments["one"]
    assert story.moments["four"] < one.until.at <= story.moments["five"]
    assert (found.gaps, found.rpo.age, one.label) == ((), timedelta(0), story.full)


def test_the_last_commit_itself_is_led_to_as_the_latest_only_while_nothing_is_missing(story: Story) -> None:
    way = chosen(story.live, Target("at", at=story.moments["five"]))
    assert way.options.type == "default"
    assert any("planned as --latest" in note for note in way.notes)
    [one] = window(story.live).intervals
    assert one.until is not None
    just_before = chosen(story.live, Target("at", at=one.until.at - timedelta(microseconds=1)))
    assert just_before.options.type == "time"
    assert restored(story.live, just_before) == ALL[:-1]


def _refused(live: Cluster, wanted: Target) -> str:
    with pytest.raises(Refused) as caught:
        chosen(live, wanted)
    return caught.value.message


def test_what_leads_nowhere_is_refused_with_the_reason(story: Story) -> None:
    live, moments = story.live, story.moments
    assert "lies in the future" in _refused(live, Target("at", at=clock.now() + timedelta(hours=1)))
    assert "the first moment within reach" in _refused(live, Target("at", at=moments["zero"] - timedelta(days=1)))
    assert "was not found" in _refused(live, Target("name", value="nosuch"))
    assert "was not found" in _refused(live, Target("xid", value="4000000000"))
    assert "beyond what is archived" in _refused(live, Target("lsn", value="FF/0"))
    assert "the first position within reach" in _refused(live, Target("lsn", value="0/100"))
    assert "knows no timeline 7" in _refused(live, Target("latest", timeline=7))
    assert "there is no set" in _refused(live, Target("latest", label="20200101-000000F"))


def test_a_set_that_is_newer_than_its_target_is_refused_though_pgbackrest_takes_it(story: Story) -> None:
    for wanted in (
        Target("at", at=story.moments["one"], label=story.diff),
        Target("lsn", value=story.lsn, label=story.diff),
        Target("xid", value=story.xid, label=story.diff),
        Target("name", value="point", label=story.diff),
    ):
        told = _refused(story.live, wanted)
        assert ("was not found" if wanted.kind in {"xid", "name"} else "before the end of set") in told


def _segments(live: Cluster) -> list[Path]:
    return sorted(path for path in live.repository.glob("archive/main/15-1/*/*") if len(path.name) > 60)


def _named(paths: Iterable[Path]) -> set[str]:
    return {path.name[:24] for path in paths}


def test_a_gap_ends_one_interval_and_only_a_later_set_opens_the_next(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        first = _label(live)
        one = live.keep("one")
        live.switch()
        before = _named(_segments(live))
        two = live.keep("two")
        live.switch()
        [missing] = [path for path in _segments(live) if path.name[:24] not in before]
        three = live.keep("three")
        live.switch()
        live.pgbackrest("backup", "--type=incr", "--no-expire-auto")
        four, _ = live.keep("four"), live.keep("five")
        live.switch()
        missing.unlink()
        found = window(live)
        [early, late] = found.intervals
        assert early.missing == missing.name[:24] == found.gaps[0].first
        assert early.until is not None
        assert early.until.at <= one < late.since.at
        assert (early.reopened, late.label) == (_label(live), _label(live))
        assert "lies behind a gap" in _refused(live, Target("at", at=two))
        # nothing was committed between this one and the end of the later set
        assert restored(live, chosen(live, Target("at", at=three))) == ["zero", "one", "two", "three"]
        assert "does not lead to the end" in _refused(live, Target("latest", label=first))
        assert restored(live, chosen(live, Target("at", at=four))) == ["zero", "one", "two", "three", "four"]
        just = early.until.at - timedelta(microseconds=1)
        assert restored(live, chosen(live, Target("at", at=just))) == ["zero"]


_EACH = "DO $$ BEGIN FOR n IN 0..299 LOOP EXECUTE format('{}', n); END LOOP; END $$"


def _left(connection: psycopg.Connection[tuple[int]]) -> int:
    """What is left of the segment, in bytes."""
    row = connection.execute("SELECT 1048576 - ((pg_current_wal_insert_lsn() - '0/0') % 1048576)::int").fetchone()
    assert row is not None
    return row[0]


def test_a_commit_that_straddles_two_segments_is_seen(folder: Path) -> None:
    """Its record begins in one and ends in the next; read alone, both are silent about it."""
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.keep("one")
        with live.connect() as connection:
            with connection.transaction():
                connection.execute(_EACH.format("CREATE TABLE wide_%s ()").encode())
            start = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            assert start is not None
            with connection.transaction():
                # its record names all of them: longer than what is left of the segment
                connection.execute(_EACH.format("DROP TABLE wide_%s").encode())
                while _left(connection) > 6000:
                    connection.execute("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000))")
        live.keep("two")
        live.switch()
        way = chosen(live, Target("lsn", value=start[0]))
        assert way.losses is not None
        assert way.losses.exact
        assert way.losses.commits == 2


def test_an_abandoned_timeline_has_to_be_named(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        back, gone, _ = live.keep("one"), live.keep("gone"), live.keep("gone too")
        live.switch()
        live.pgbackrest("backup", "--type=incr", "--no-expire-auto")
        abandoned = _label(live)
        way = chosen(live, Target("at", at=back))
        postgres.stop(live.server)
        live.pgbackrest("restore", "--delta", *way.options.arguments())
        postgres.start(live.server)
        with live.connect() as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                connection.execute("SELECT pg_sleep(0.02)")
        new, _ = live.keep("new"), live.keep("newer")
        live.switch()
        found = window(live)
        assert {(one.timeline, one.abandoned) for one in found.intervals} == {(1, True), (2, False)}
        assert found.gaps == ()
        assert restored(live, chosen(live, Target("at", at=new))) == ["zero", "one", "new"]
        assert restored(live, chosen(live, Target("at", at=gone, timeline=1))) == ["zero", "one", "gone"]
        with pytest.raises(Refused) as caught:
            chosen(live, Target("latest", label=abandoned))
        assert "--timeline 1" in (caught.value.hint or "")
        assert restored(live, chosen(live, Target("latest", label=abandoned, timeline=1)))[-1] == "gone too"


def test_the_clusters_own_timeline_is_followed_after_a_way_back_not_the_highest(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        back, _ = live.keep("one"), live.keep("two")
        live.switch()
        way = chosen(live, Target("at", at=back))
        postgres.stop(live.server)
        aside = live.server.data.rename(live.server.home / "aside")
        live.pgbackrest("restore", *way.options.arguments())
        postgres.start(live.server)
        with live.connect() as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                connection.execute("SELECT pg_sleep(0.02)")
        promoted, _ = live.keep("promoted"), live.keep("promoted too")
        live.switch()
        assert chosen(live, Target("latest")).timeline == 2  # also before its checkpoint
        postgres.stop(live.server)
        live.server.data.rename(live.server.home / "given-up")
        aside.rename(live.server.data)
        postgres.start(live.server)
        live.keep("three")
        live.switch()
        found = window(live)
        assert {(one.timeline, one.abandoned) for one in found.intervals} == {(1, False), (2, True)}
        assert found.rpo.age == timedelta(0)
        assert restored(live, chosen(live, Target("latest"))) == ["zero", "one", "two", "three"]
        assert restored(live, chosen(live, Target("at", at=promoted, timeline=2))) == ["zero", "one", "promoted"]
        postgres.stop(live.server)
        assert chosen(live, Target("latest")).timeline == 1


@pytest.mark.parametrize("megabytes", [4, 64])
def test_segments_of_another_size_are_counted_from_the_archive_alone(folder: Path, megabytes: int) -> None:
    with clustering.under_backup(folder, segment_mb=megabytes, data_directory="/nowhere") as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        one, _ = live.keep("one"), live.keep("two")
        live.switch()
        found = window(live)
        [interval] = found.intervals
        assert interval.until is not None
        assert interval.until.exact
        assert interval.since.at < one < interval.until.at
        assert chosen(live, Target("at", at=one)).options.type == "time"


def test_a_set_whose_own_wal_is_missing_opens_nothing(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.keep("one")
        live.switch()
        info = next(iter(ready.observe(live.config.cluster[TARGET], target=TARGET).stanza.backups))
        [own] = [path for path in _segments(live) if path.name.startswith(info.wal_start or "-")]
        own.unlink()
        found = window(live)
        assert found.intervals == ()
        assert [(one.complete, one.missing) for one in found.backups] == [(False, info.wal_start)]
        assert "is not complete" in _refused(live, Target("latest", label=info.label))


def test_the_oldest_commit_that_is_not_archived_tells_the_rpo(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        assert window(live).rpo.age == timedelta(0)
        live.keep("open")
        live.keep("open too")
        before = clock.now()
        told = window(live).rpo
        assert told.exact
        assert told.age is not None
        assert told.age >= clock.now() - before - timedelta(seconds=5)
        assert told.age > timedelta(0)
        assert "beyond what is archived" in _refused(live, Target("at", at=clock.now()))
        live.switch()
        assert window(live).rpo.age == timedelta(0)


@pytest.mark.parametrize("compression", ["lz4", "gz", "bz2", "none"])
def test_wal_is_read_however_it_was_packed(folder: Path, compression: str) -> None:
    with clustering.under_backup(folder) as live:
        conf = live.stanza.config.read_text().replace("compress-type=zst", f"compress-type={compression}")
        account.write_file(live.stanza.config, conf)
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        moment, _ = live.keep("one"), live.keep("two")
        live.switch()
        way = chosen(live, Target("at", at=moment))
        assert way.before is not None
        assert way.after is not None
        assert way.before.at <= moment < way.after.at
        [interval] = window(live).intervals
        assert interval.until is not None
        assert interval.until.exact


def test_away_from_the_servers_disk_the_rpo_is_a_bound_from_samples(folder: Path) -> None:
    with clustering.under_backup(folder, data_directory="/nowhere") as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        window(live)  # leaves a sample, and what it stood for is archived now
        live.switch()
        before = live.keep("open")
        told = window(live).rpo
        assert not told.exact
        assert told.age is not None
        assert told.age >= clock.now() - before - timedelta(seconds=10)
        assert "samples" in told.how


def test_a_damaged_segment_makes_a_border_about_and_a_plan_through_it_impossible(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        moment, _ = live.keep("one"), live.keep("two")
        live.switch()
        newest = _segments(live)[-1]
        newest.write_bytes(_segments(live)[0].read_bytes())  # whole, but another one
        found = window(live)
        [interval] = found.intervals
        assert interval.until is not None
        assert not interval.until.exact
        assert any("is damaged" in why for why in found.about)
        with pytest.raises(CouldNotVerify, match="is damaged"):
            chosen(live, Target("at", at=moment))


def test_a_request_to_stop_is_heard_between_two_segments(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    live = story.live
    monkeypatch.setattr(stop, "requested", lambda: True)
    with pytest.raises(Stopped):
        ready.window(live.config, TARGET, live.run(), clock.now())
