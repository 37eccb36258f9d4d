"""The metrics file: what is merged, what is kept, and that others can read it."""

import fcntl
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import prometheus_client.openmetrics.parser
import prometheus_client.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine import metrics
from dbops.engine.ending import Ending, Measure
from dbops.engine.metrics import EMPTY, Exposition, Report, merged, parse, render, write

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
RUN, SUCCESS, STATUS, DURATION, OBJECTIVE, MEASURED = (
    f"dbops_{name}"
    for name in (
        "last_run_timestamp_seconds",
        "last_success_timestamp_seconds",
        "last_status",
        "last_duration_seconds",
        "objective_seconds",
        "measured_seconds",
    )
)


def ended(
    code: int, target: str = "", *, at: datetime = T, command: str = "roles apply", skipped: bool = False
) -> Report:
    return Report(command, at, (Ending(target, code, 2 * SECOND, skipped),))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def aged(*measures: Measure, target: str = "main") -> Report:
    return Report("status", T, (Ending(target, 0, SECOND),), measures)


def value(exposition: Exposition, name: str, command: str = "roles apply", target: str = "", **more: str) -> str | None:
    labels = {"command": command, "target": target, **more}
    return exposition.samples.get(name, {}).get(tuple(sorted(labels.items())))


def all_of(*reports: Report) -> Exposition:
    told = EMPTY
    for report in reports:
        told = merged(told, report)
    return told


# ── What is merged ───────────────────────────────────────────────────────────────────────────────


def test_a_success_tells_when_how_long_and_with_what_code() -> None:
    told = all_of(ended(0))
    assert value(told, RUN) == value(told, SUCCESS) == f"{T.timestamp():.0f}"
    assert (value(told, STATUS), value(told, DURATION)) == ("0", "2")


def test_a_failure_keeps_the_last_success() -> None:
    told = all_of(ended(0), ended(4, at=T + HOUR))
    assert value(told, SUCCESS) == f"{T.timestamp():.0f}"
    assert (value(told, RUN), value(told, STATUS)) == (f"{(T + HOUR).timestamp():.0f}", "4")


@pytest.mark.parametrize("code", [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 75, 130, 143])
def test_only_0_and_3_are_successes(code: int) -> None:
    assert value(all_of(ended(code)), SUCCESS) is None
    assert value(all_of(ended(3)), SUCCESS) is not None


def test_a_skipped_run_touches_nothing_but_the_moment_of_the_last_run() -> None:
    told = all_of(ended(9), ended(0, at=T + HOUR, skipped=True))
    assert (value(told, STATUS), value(told, SUCCESS), value(told, DURATION)) == ("9", None, "2")
    assert value(told, RUN) == f"{(T + HOUR).timestamp():.0f}"


def test_other_commands_and_other_targets_keep_their_series() -> None:
    told = all_of(ended(0, "a"), ended(4, "b"), ended(5, "a", command="status"))
    assert [value(told, STATUS, target=name) for name in ("a", "b", "c")] == ["0", "4", None]
    assert value(told, STATUS, command="status", target="a") == "5"


def test_a_measure_stands_beside_its_objective_and_none_at_all_is_infinitely_old() -> None:
    told = all_of(aged(Measure("main", "backup_age", HOUR, 2 * HOUR), Measure("main", "other", None)))
    labels = {"command": "status", "target": "main"}
    assert value(told, MEASURED, **labels, objective="backup_age") == "3600"
    assert value(told, OBJECTIVE, **labels, objective="backup_age") == "7200"
    assert value(told, MEASURED, **labels, objective="other") == "+Inf"
    assert value(told, OBJECTIVE, **labels, objective="other") is None


def test_what_a_run_did_not_measure_is_not_told_any_more_and_only_for_targets_that_it_looked_at() -> None:
    measures = [Measure(name, "backup_age", HOUR, HOUR) for name in ("main", "other")]
    told = merged(all_of(*(aged(m, target=m.target) for m in measures)), aged(target="main"))
    assert value(told, MEASURED, "status", "main", objective="backup_age") is None
    assert value(told, OBJECTIVE, "status", "main", objective="backup_age") is None
    assert value(told, MEASURED, "status", "other", objective="backup_age") == "3600"


def test_a_target_without_a_turn_of_its_own_has_no_duration() -> None:
    told = all_of(Report("roles check", T, (Ending("main", 3, None),)))
    assert value(told, STATUS, "roles check", "main") == "3"
    assert value(told, DURATION, "roles check", "main") is None


def test_names_that_a_later_dbops_wrote_are_kept_with_their_help() -> None:
    later = '# HELP dbops_new_thing What it is.\n# TYPE dbops_new_thing gauge\ndbops_new_thing{a="b"} 7\n'
    text = render(merged(parse(later), ended(0)))
    for line in later.splitlines():
        assert line in text.splitlines()


# ── What it looks like ───────────────────────────────────────────────────────────────────────────

names = st.text(st.characters(codec="utf-8"), max_size=12)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    target, code = draw(names), draw(st.integers(0, 255))
    endings = Ending("", code, SECOND), Ending(target, code, SECOND, draw(st.booleans()))
    return Report(draw(names), T, endings, (Measure(target, draw(names), HOUR, HOUR),))


@given(st.lists(reports(), max_size=5))
def test_what_was_written_is_read_again_whatever_the_names_are(runs: list[Report]) -> None:
    told = all_of(*runs)
    again = parse(render(told))
    assert again.samples == {name: series for name, series in told.samples.items() if series}
    assert render(again) == render(told)


@given(st.lists(reports(), min_size=1, max_size=5))
def test_prometheus_and_openmetrics_read_the_same_from_it(runs: list[Report]) -> None:
    told = all_of(*runs)
    ours = {(n, labels, float(v)) for n, series in told.samples.items() for labels, v in series.items()}
    for parser in (prometheus_client.parser, prometheus_client.openmetrics.parser):
        families = list(parser.text_string_to_metric_families(render(told)))
        samples = [sample for family in families for sample in family.samples]
        assert {(s.name, tuple(sorted(s.labels.items())), s.value) for s in samples} == ours
        assert all(sample.timestamp is None for sample in samples)
        assert all(family.type == "gauge" and family.documentation for family in families)


def test_a_name_that_is_no_unicode_does_not_make_the_file_unreadable() -> None:
    assert 'target="a?"' in render(all_of(ended(0, "a\udcff")))


@pytest.mark.parametrize(
    "line",
    ["dbops_last_status 1", 'dbops_last_status{a="b" 1', 'dbops_x{a="b"} one', "garbage", "# EOF\0", '{a="b"} 1'],
)
def test_a_line_that_is_no_metric_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2|could not convert"):
        parse(f"# HELP dbops_x x\n{line}\n")


# ── The file ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def careless_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("careless_umask")
def test_the_collector_may_read_the_file_and_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "dbops.prom"
    assert write(file, ended(0)) == write(file, ended(4)) == ()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert files(tmp_path) == ["dbops.prom"]
    assert (value(parse(file.read_text()), STATUS), value(parse(file.read_text()), SUCCESS) is None) == ("4", False)


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "dbops.prom"
    write(file, ended(0))
    with file.open() as before:
        write(file, ended(4))
        assert value(parse(before.read()), STATUS) == "0"


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".dbops.prom.new").write_text("half a li")
    assert write(tmp_path / "dbops.prom", ended(0)) == ()
    assert files(tmp_path) == ["dbops.prom"]


def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "dbops.prom").symlink_to(tmp_path / "there" / "real.prom")
    assert write(tmp_path / "dbops.prom", ended(0)) == ()
    assert (tmp_path / "dbops.prom").is_symlink()
    assert value(parse((tmp_path / "there" / "real.prom").read_text()), STATUS) == "0"


@pytest.mark.parametrize("damage", [b"dbops_last_status{comm", b"\xff\xfe\n", b"dbops_last_status 1\n", b"\0" * 100])
def test_a_damaged_file_is_told_kept_beside_and_begun_anew(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "dbops.prom"
    write(file, ended(0))
    damaged = file.read_bytes() + damage
    file.write_bytes(damaged)
    [told] = write(file, ended(4))
    assert (told.severity.value, told.code) == ("warning", "metrics-damaged")
    assert str(file) in told.message
    assert (tmp_path / "dbops.prom.broken").read_bytes() == damaged
    assert parse(file.read_text()) == parse(render(all_of(ended(4))))


def test_an_empty_file_that_somebody_prepared_is_no_damage(tmp_path: Path) -> None:
    file = tmp_path / "dbops.prom"
    file.touch()
    assert write(file, ended(0)) == ()
    assert value(parse(file.read_text()), STATUS) == "0"


@pytest.mark.parametrize("content", ["root:x:0:0\n", "other_metric 1\n", "# HELP other_metric x\n"])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "passwd"
    file.write_text(content)
    [told] = write(file, ended(0))
    assert told.code == "metrics-failed"
    assert "not a metrics file of dbops" in told.message
    assert (file.read_text(), files(tmp_path)) == (content, ["passwd"])


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe stands for /dev/null too: a test that fails must not cost the machine a device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    [told] = write(pipe, ended(0))
    assert told.code == "metrics-failed"
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("path", "why"),
    [("nowhere/x.prom", "No such file or directory"), ("file/x.prom", "Not a directory"), (".", "Is a directory")],
)
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "file").touch()
    [told] = write(tmp_path / path, ended(0))
    assert (told.severity.value, told.code) == ("warning", "metrics-failed")
    assert why in told.message
    assert files(tmp_path) == ["file"]


def test_a_lock_that_is_never_released_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_PATIENCE_S", 0.05)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        [told] = write(tmp_path / "dbops.prom", ended(0))
    finally:
        os.close(folder)
    assert "locked" in told.message
    assert files(tmp_path) == []
