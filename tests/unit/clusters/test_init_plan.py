"""The plan that brings a cluster under backup: finished, it leaves nothing to do; broken off, it can be continued."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.finding import Severity
from dbops.engine.plan import Risk, Step
from dbops.operations.clusters.init import check, plan, refused, settings
from dbops.operations.clusters.init.facts import (
    Conf,
    Facts,
    File,
    Options,
    Pass,
    Repository,
    Server,
    Wanted,
    pushes,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SERVER = Server(
    version=150020,
    system_id=7,
    data_directory="/srv/data",
    config_file="/srv/data/postgresql.conf",
    socket_directory="/run/pg",
    port=5432,
    user="postgres",
    archive_mode="off",
    archive_command="",
    archive_library="",
    archive_timeout=timedelta(0),
    wal_level="replica",
    checksums=True,
    pending=frozenset(),
    standby=False,
    archived=NOW,
    failed=None,
    failed_wal=None,
)
WANTED = Wanted("main", ((1, (("path", "/repo"),)),), frozenset(), timedelta(minutes=5), timedelta(hours=6), None, 7)
CONF = Conf(
    File("/etc/b/b.conf", exists=False), File("/etc/b/b.conf.d/m.conf", exists=False), (), given=True, folder="/etc/b"
)
NOTHING = Facts("main", WANTED, "postgres", 8, SERVER, CONF, (Repository(1, created=False),), "/usr/bin/pgbackrest")


def done(facts: Facts, step: Step[plan.Action], *, restarts: bool = True) -> Facts:
    """Return the world after a step."""
    server = facts.server
    assert server is not None
    match step.action:
        case plan.Configure(options):
            return replace(
                facts, conf=replace(facts.conf, main=File("/etc/b/b.conf", exists=True), sections=_with(facts, options))
            )
        case plan.WritePasses():
            passes = tuple((key, Pass.RIGHT) for key, _ in facts.conf.passes)
            include = replace(facts.conf.include, exists=True)
            return replace(facts, conf=replace(facts.conf, include=include, passes=passes))
        case plan.CreateStanza():
            return replace(facts, repositories=tuple(_created(facts, one) for one in facts.repositories))
        case plan.UpgradeStanza():
            upgraded = tuple(
                replace(one, version="15", system_id=7, backups=one.backups if one.version == "15" else 0)
                for one in facts.repositories
            )
            return replace(facts, repositories=upgraded)
        case plan.Archive(values):
            return replace(facts, server=_set(server, dict(values)))
        case plan.Restart():
            on = replace(server, archive_mode="on", wal_level="replica", pending=frozenset[str]())
            return replace(facts, server=on) if restarts else facts
        case plan.Check():
            return facts
        case plan.FirstFull(key):
            full = tuple(replace(one, backups=1) if one.key == key else one for one in facts.repositories)
            return replace(facts, repositories=full)
        case _:
            assert_never(step.action)


def _with(facts: Facts, options: tuple[plan.Option, ...]) -> tuple[Options, ...]:
    sections = {one.name: dict(one.values) for one in facts.conf.sections}
    for one in options:
        sections.setdefault(one.section, {})[one.name] = one.value
    return tuple(Options(name, tuple(values.items())) for name, values in sections.items())


def _created(facts: Facts, one: Repository) -> Repository:
    if one.created:
        return one
    return Repository(one.key, created=True, encrypted=one.key in facts.wanted.ciphers, system_id=7, version="15")


def _set(server: Server, values: dict[str, str]) -> Server:
    waiting = {name for name in ("archive_mode", "wal_level") if name in values}
    return replace(
        server,
        archive_command=values.get("archive_command", server.archive_command),
        archive_library=values.get("archive_library", server.archive_library),
        archive_timeout=timedelta(seconds=int(values["archive_timeout"].removesuffix("s")))
        if "archive_timeout" in values
        else server.archive_timeout,
        pending=server.pending | waiting,
    )


_THERE = (
    Repository(1, created=False),
    Repository(1, created=False, half=True),
    Repository(1, created=True, system_id=7, version="15"),
    Repository(1, created=True, system_id=7, version="15", backups=2),
    Repository(1, created=True, system_id=6, version="14", backups=2),
)
_COMMANDS = ("", "cp %p /b/%f", "pgbackrest --stanza=other archive-push %p", NOTHING.archive_command)
_SECTIONS = ((), (Options("global", (("process-max", "3"), ("compress-type", "lz4"))), Options("db", ())))


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    keys = sorted(draw(st.frozensets(st.integers(1, 3), min_size=1)))
    ciphers = draw(st.frozensets(st.sampled_from(keys)))
    server = replace(
        SERVER,
        archive_mode=draw(st.sampled_from(["on", "off"])),
        archive_command=draw(st.sampled_from(_COMMANDS)),
        archive_timeout=timedelta(seconds=draw(st.sampled_from([0, 60, 600]))),
        wal_level=draw(st.sampled_from(["replica", "minimal", "logical"])),
        archive_library=draw(st.sampled_from(["", "somebody"])),
    )
    paths = tuple((key, (("path", f"/repo{key}"),)) for key in keys)
    there = [replace(draw(st.sampled_from(_THERE)), key=key, encrypted=key in ciphers) for key in keys]
    return replace(
        NOTHING,
        wanted=replace(WANTED, repositories=paths, ciphers=ciphers),
        server=server,
        conf=replace(
            CONF,
            passes=tuple((key, Pass.MISSING) for key in sorted(ciphers)),
            sections=draw(st.sampled_from(_SECTIONS)),
        ),
        repositories=tuple(there),
    )


@given(worlds())
def test_a_finished_plan_leaves_nothing_to_do(world: Facts) -> None:
    assert refused.refusal(world) is None
    for step in plan.plan(world, restart=True).steps:
        world = done(world, step)
    assert plan.plan(world, restart=True).steps == ()
    assert refused.refusal(world) is None
    bad = (*check.server(world), *check.repositories(world), *settings.settings(world))
    assert [one.code for one in bad if one.severity is not Severity.WARNING] == []


@given(worlds(), st.integers(0, 9), st.booleans())
def test_every_prefix_can_be_continued(world: Facts, length: int, restart: bool) -> None:
    broken_off = world
    for step in plan.plan(world, restart=restart).steps[:length]:
        broken_off = done(broken_off, step)
    for step in plan.plan(broken_off, restart=True).steps:
        broken_off = done(broken_off, step)
    for step in plan.plan(world, restart=True).steps:
        world = done(world, step)
    assert plan.plan(broken_off, restart=True).steps == ()
    assert {one.key for one in broken_off.repositories if one.backups} == {one.key for one in world.repositories}
    assert broken_off.server == world.server


@given(worlds())
def test_without_leave_nothing_is_restarted_or_checked_before_it_can_work(world: Facts) -> None:
    steps = plan.plan(world).steps
    assert not [step for step in steps if isinstance(step.action, plan.Restart)]
    if plan.needs_restart(world):
        assert not [step for step in steps if isinstance(step.action, plan.Check | plan.FirstFull)]
        assert [one.code for one in check.while_initializing(world, restarting=False)] == ["DBB101"]


@given(worlds())
def test_the_stanza_is_there_before_the_archiver_needs_it(world: Facts) -> None:
    order = [type(step.action) for step in plan.plan(world, restart=True).steps]
    wanted = [plan.Configure, plan.WritePasses, plan.CreateStanza, plan.UpgradeStanza, plan.Archive, plan.Restart]
    assert [kind for kind in wanted if kind in order] == [kind for kind in order if kind in wanted]


def test_another_archive_command_is_no_safe_step_to_take_over() -> None:
    copying = replace(NOTHING, server=replace(SERVER, archive_command="cp %p /backup/archive/%f"))
    assert plan.plan(copying).risk is Risk.BLOCKS
    assert plan.plan(NOTHING).risk is Risk.SAFE


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (Repository(1, created=True, system_id=6, version="15"), "belongs to another cluster"),
        (Repository(1, created=True, system_id=6, version="16"), "belongs to another cluster"),
        (Repository(1, created=False, unread="no such key"), "cannot be looked at"),
    ],
)
def test_a_repository_that_is_not_ours_is_refused(there: Repository, said: str) -> None:
    why = refused.refusal(replace(NOTHING, repositories=(there,)))
    assert why is not None
    assert said in why[0]


def test_a_cipher_that_comes_too_late_is_refused() -> None:
    there = Repository(1, created=True, system_id=7, version="15")
    wanted = replace(WANTED, ciphers=frozenset({1}))
    why = refused.refusal(replace(NOTHING, wanted=wanted, repositories=(there,)))
    assert why is not None
    assert "without a cipher" in why[0]


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        ("/usr/bin/pgbackrest --config=/etc/b/b.conf --stanza=main archive-push %p", True),
        ("pgbackrest --stanza=main --config=/etc/b/b.conf archive-push '%p'", True),
        ("pgbackrest --stanza=main archive-push %p", False),  # by another configuration
        ("pgbackrest --config=/etc/b/b.conf --stanza=db archive-push %p", False),
        ("pgbackrest --config=/etc/b/b.conf --stanza=main archive-push %f", False),
        ("cp %p /b/%f && pgbackrest --config=/etc/b/b.conf --stanza=main archive-push %p", False),
        ("pgbackrest --config=/etc/b/b.conf --stanza=main archive-push %p || true", False),
        ("pgbackrest --config=/etc/b/b.conf --stanza=main archive-push %p; true", False),
        ("echo 'unfinished", False),
    ],
)
def test_an_archive_command_is_ours_only_if_it_does_nothing_else(command: str, ours: bool) -> None:
    assert plan.is_ours(NOTHING, command) is ours
    if command.startswith(("cp", "echo")):
        assert pushes(command) is None


def codes(facts: Facts) -> set[str]:
    return {one.code for one in (*check.server(facts), *check.repositories(facts), *settings.settings(facts))}


def test_the_seeds_configuration_deviates_in_all_that_is_wrong_with_it() -> None:
    sections = (
        Options(
            "global",
            (
                ("repo1-path", "/backup/postgres"),
                ("repo1-retention-full", "7"),
                ("repo1-retention-diff", "4"),
                ("repo1-retention-archive", "14"),
            ),
        ),
        Options("db", (("pg1-path", "/var/lib/postgresql/data"), ("pg1-port", "5432"))),
    )
    main = File("/etc/pgbackrest.conf", exists=True)
    conf = replace(CONF, main=main, sections=sections, given=False, foreign=("db",))
    server = replace(SERVER, archive_mode="on", archive_command="cp %p /backup/archive/%f")
    found = codes(replace(NOTHING, conf=conf, server=server))
    assert found == {
        *("DBB102", "DBB105", "DBB109", "DBB110", "DBB113", "DBB114", "DBB115", "DBB118", "DBB119", "DBB120", "DBB121")
    }


@pytest.mark.parametrize(
    ("server", "code", "severity"),
    [
        (replace(SERVER, archive_mode="always"), "DBB107", Severity.WARNING),
        (replace(SERVER, archive_timeout=timedelta(minutes=6)), "DBB105", Severity.MISSED),
        (replace(SERVER, archive_timeout=timedelta(0)), "DBB105", Severity.MISSED),
        (replace(SERVER, archive_mode="on", failed=NOW + timedelta(1), failed_wal="00"), "DBB104", Severity.BAD),
        (replace(SERVER, checksums=False), "DBB108", Severity.WARNING),
        (replace(SERVER, archive_library="somebody"), "DBB102", Severity.BAD),
        (replace(SERVER, wal_level="minimal"), "DBB126", Severity.BAD),
        (None, "DBB130", Severity.UNKNOWN),
    ],
)
def test_what_is_wrong_with_a_server_has_its_severity(server: Server | None, code: str, severity: Severity) -> None:
    found = {one.code: one.severity for one in check.server(replace(NOTHING, server=server))}
    assert found[code] is severity


def test_a_schedule_that_cannot_keep_its_promise_is_missed() -> None:
    rare = replace(NOTHING, wanted=replace(WANTED, backup_age=timedelta(hours=4)))
    assert {one.code for one in check.server(rare)} >= {"DBB106"}


@pytest.mark.parametrize(
    ("section", "options", "code"),
    [
        ("global", (("spool-path", "/srv/data/pg_wal/spool"),), "DBB120"),
        ("global", (("log-path", "/tmp/logs"),), "DBB120"),
        ("main", (("repo1-path", "/srv/data/repo"),), "DBB120"),
        ("main", (("repo1-retention-full", "7"), ("repo1-retention-archive", "2")), "DBB118"),
        ("main", (("pg1-path", "/srv/elsewhere"),), "DBB111"),
        ("global", (("process-max", "64"),), "DBB113"),
        ("global", (("compress-type", "none"),), "DBB114"),
    ],
)
def test_one_wrong_option_makes_one_deviation(section: str, options: tuple[tuple[str, str], ...], code: str) -> None:
    good = NOTHING
    for step in plan.plan(good, restart=True).steps:
        good = done(good, step)
    assert codes(good) == {"DBB116"}
    worse = _with(good, tuple(plan.Option(section, name, value) for name, value in options))
    found = codes(replace(good, conf=replace(good.conf, sections=worse)))
    assert code in found
    assert found <= {"DBB116", "DBB119", code}


def test_a_secret_that_everybody_can_read_is_bad_and_a_private_one_is_not() -> None:
    secret = (Options("main", (("repo1-cipher-pass", "***"),)),)
    main = File("/etc/b/b.conf", exists=True, by_others=True)
    shown = replace(NOTHING, conf=replace(CONF, main=main, sections=secret))
    assert "DBB117" in codes(shown)
    hidden = replace(shown, conf=replace(shown.conf, main=replace(main, by_others=False)))
    assert "DBB117" not in codes(hidden)
