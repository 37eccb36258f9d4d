"""What one invocation has to tell of each of its targets."""

from datetime import timedelta
from pathlib import Path

from dbops.engine.finding import Finding, Severity
from dbops.engine.metrics import parse
from dbops.engine.watch import Watch


def statuses(watch: Watch, file: Path) -> dict[str, int]:
    assert watch.close(file, command="check", run_id="1", code=4, findings=(), measures=()) == []
    series = parse(file.read_text()).samples["dbops_last_status"]
    return {dict(labels)["target"]: int(value) for labels, value in series.items()}


def test_each_target_has_the_code_of_its_own_gravest_finding(tmp_path: Path) -> None:
    watch = Watch()
    severities = ((Severity.WARNING, "a"), (Severity.BAD, "a"), (Severity.UNKNOWN, "b"), (Severity.MISSED, "-"))
    watch.judged(("a", "b", "c"), [Finding(severity, "odd", target, "odd") for severity, target in severities])
    assert statuses(watch, tmp_path / "x.prom") == {"": 4, "a": 4, "b": 5, "c": 0}


def test_a_target_that_had_several_turns_tells_its_last_one(tmp_path: Path) -> None:
    watch = Watch()
    for code in (9, 0):
        watch.ended("a", code, timedelta(0))
    assert statuses(watch, tmp_path / "x.prom") == {"": 4, "a": 0}
