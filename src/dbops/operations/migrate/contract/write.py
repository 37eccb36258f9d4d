"""The revision that contracts, or that drops for good what was put out of the way, ready to be written for commit."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.plan import Plan, Ready, Step
from dbops.engine.run import Run
from dbops.operations.migrate import history, open_changes
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate.contract import check, looking, plan, written
from dbops.operations.migrate.contract.apply import Doing, apply, prove_overrides, write_whole
from dbops.operations.migrate.contract.facts import Backups, Gate
from dbops.operations.migrate.open_changes import Change, Known, Work
from dbops.operations.migrate.shapes import retiring

REMOVE = "remove"


@contextmanager
def write(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    backups: Backups,
    override: looking.Override = looking.NONE,
    told: list[Gate] | None = None,
) -> Generator[Ready[plan.Action]]:
    """Plan to write the revision that contracts, behind the head. Lock subject: change:NAME."""
    title = f"write the revision that contracts {change}"
    with open_changes.connected(config, path, target, run) as (known, _):
        found = open_changes.one(known, change)
    if found.contracted and retiring.retires(found.shape):
        yield _removal(config, path, known, found)
        return
    if (why := looking.nothing_left(config, path, target, run, change)) is not None:
        yield Ready(Plan(target, f"{title}: {why}"), _nothing)
        return
    with open_changes.at_work(config, path, target, run, change) as work:
        looking.refuse(work)
        if work.change.contract is not None:
            yield Ready(Plan(target, f"{title}: it is there"), _nothing)
            return
        facts, gates = looking.through_gates(config, work, run, now, backups=backups, override=override)
        if told is not None:
            told += gates
        file, text = _contraction(config, path, work)
        planned = plan.write(target, title, path=str(file), text=text, notes=plan.notes(facts, gates))

        def do(step: Step[plan.Action]) -> None:
            prove_overrides(work.connection, run, gates, target=target, change=change)
            apply(Doing(config, target, change, run, work.connection, _no_revision), step)

        yield Ready(planned, do, work.guard, findings=tuple(check.findings(target, gates, now)))


def _nothing(step: Step[plan.Action]) -> None:
    raise AssertionError(f"there is nothing to do: {step.id}")


def _no_revision(step: Step[revisions.Action]) -> None:
    raise AssertionError(f"no revision is run: {step.id}")


def _removal(config: Config, path: Path, known: Known, change: Change) -> Ready[plan.Action]:
    """Plan to write the second stage: its own statement refuses until what was put away was kept long enough."""
    title = f"write the revision that drops what {change.id} has put away"
    if any(one.change == change.id and one.phase == REMOVE for one in known.history.revisions):
        return Ready(Plan(known.target, f"{title}: it is there"), _nothing)
    file, text = _text(config, path, known, change, phase=REMOVE, about=f"Remove for good what {change.id} put away")
    return Ready(plan.write(known.target, title, path=str(file), text=text), _written(file, text))


def _written(file: Path, text: str) -> Callable[[Step[plan.Action]], None]:
    def do(step: Step[plan.Action]) -> None:
        del step
        write_whole(file, text)

    return do


def _contraction(config: Config, path: Path, work: Work) -> tuple[Path, str]:
    summary = work.change.expand.summary if work.change.expand is not None else ""
    back = "put_back(change, shape)" if retiring.comes_back(work.shape) else None
    about = f"Contract {work.change.id}: {summary}"
    return _text(config, path, work.known, work.change, phase="contract", about=about, back=back)


def _text(
    config: Config, path: Path, known: Known, change: Change, *, phase: str, about: str, back: str | None = None
) -> tuple[Path, str]:
    expand, head = change.expand, known.history.head
    assert expand is not None  # noqa: S101  # there is a shape, so there is its revision
    assert head is not None  # noqa: S101
    folder, section = history.folder(config, path), history.section(config, known.target)
    source = history.files(folder, section, known.target)[expand.id]
    identity = written.revision_id(expand.id, phase)
    text = written.text(
        source.read_text(encoding="utf-8"),
        change=change.id,
        expand=expand.id,
        behind=head,
        phase=phase,
        about=about,
        impact=change.impact,
        back=back,
    )
    return source.with_name(written.file_name(identity, change.id)), text
