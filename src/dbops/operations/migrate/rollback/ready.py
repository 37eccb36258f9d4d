"""A rollback, ready to be planned and done, under the locks of its change and of the schema."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.patience import Ramp
from dbops.engine.plan import Ready, Step
from dbops.engine.run import Run
from dbops.errors import Refused, UsageError
from dbops.operations.migrate import apply as revisions
from dbops.operations.migrate import asking, history, open_changes
from dbops.operations.migrate import check as schema_check
from dbops.operations.migrate import plan as schema_plan
from dbops.operations.migrate.apply import SUBJECT
from dbops.operations.migrate.compare import ready as comparing
from dbops.operations.migrate.contract import written
from dbops.operations.migrate.facts import BASE
from dbops.operations.migrate.observe import observe
from dbops.operations.migrate.open_changes import Work
from dbops.operations.migrate.rollback import check, plan
from dbops.operations.migrate.rollback.apply import Doing, apply
from dbops.operations.migrate.rollback.facts import Facts, File
from dbops.operations.migrate.shapes import exchanging
from dbops.operations.migrate.switch.facts import REVERSE, Override
from dbops.operations.migrate.switch.ready import both, texts
from dbops.stores import databases, postgres

_RAMP = Ramp()
_HOW = comparing.How()


@contextmanager
def rollback(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    write: bool = False,
    overrides: Sequence[Override] = (),
    how: comparing.How = _HOW,
    ramp: Ramp = _RAMP,
) -> Generator[Ready[plan.Action]]:
    """Plan one phase back. Lock subjects: change:NAME, and schema."""
    del now  # the server's clock counts
    for one in overrides:
        if one.gate != REVERSE:
            raise UsageError(f"--override {one.gate}: a rollback has no such gate", hint=f"--override {REVERSE}")
    place = config.postgres[target]
    with open_changes.at_work(config, path, target, run, change) as work, ExitStack() as stack:
        guard = work.guard
        if not run.plan_only:
            held = stack.enter_context(postgres.only_run(place, run, target=target, subject=SUBJECT))
            guard = both(work.guard, held)
        facts = _facts(config, path, work, overrides, write=write)
        if (error := check.refusal(facts)) is not None:
            raise error
        administrator = partial(databases.administrator, config, target, run)

        def revising() -> revisions.Doing:
            told = asking.about(history.folder(config, path), history.section(config, target), target, run, config=path)
            ask, backend = stack.enter_context(asking.worker(told))
            return revisions.Doing(target, work.connection, administrator, ask, backend, ramp, run)

        opening = partial(comparing.opened, config, run, how=how)
        doing = Doing(facts, run, work, administrator, opening, revising, ramp)
        yield Ready(plan.plan(facts), partial(apply, doing), guard, met=doing.met)


def _facts(config: Config, path: Path, work: Work, overrides: Sequence[Override], *, write: bool) -> Facts:
    known, change, expand = work.known, work.change, work.change.expand
    assert expand is not None  # noqa: S101  # what is expanded has one
    done = known.history.until(known.stamp)
    later = tuple(one.id for one in done[done.index(expand) + 1 :])
    pending = change.rollback.id if change.rollback is not None else None
    row = work.connection.execute("SELECT count(*) FROM dbops.conflicts WHERE change = %s", (change.id,)).fetchone()
    facts = Facts(
        known.target,
        change.id,
        change.life,
        known.here,
        change.percent,
        bool(work.comparisons),
        any(one.way == "back" for one in work.comparisons),
        later,
        expand.id,
        write=write,
        pending=pending,
        swap_back=texts(work.shape.swap_back(change.id)),
        before_swap_back=exchanging.before_swap_back(work.shape, change.id),
        conflicts=row[0] if row else 0,
        overrides=tuple(overrides),
    )
    if facts.readers_first:
        return facts
    undo = not later and not write and pending is None
    down = _down(config, path, work) if undo else ()
    return replace(facts, down=down, file=_file(config, path, work) if write else None)


def _down(config: Config, path: Path, work: Work) -> tuple[Step[schema_plan.Action], ...]:
    """Plan what `migrate down` would do with the expand revision."""
    known = work.known.history
    done = known.until(work.known.stamp)
    before = done[-2].id if len(done) > 1 else BASE
    database = observe(work.connection, known, target=known.target)
    for message, hint in schema_check.refusals(known, database, going_up=False):
        raise Refused(message, hint=hint, target=known.target)
    emitted = history.downgrades(history.folder(config, path), history.section(config, known.target), known)
    return schema_plan.down(known, database, before, emitted).steps


def _file(config: Config, path: Path, work: Work) -> File:
    known, expand = work.known.history, work.change.expand
    assert expand is not None  # noqa: S101
    files = history.files(history.folder(config, path), history.section(config, known.target), known.target)
    source = files[expand.id]
    if work.change.rollback is not None:
        there = files[work.change.rollback.id]
        return File(str(there), there.read_text(encoding="utf-8"), there=True)
    head = known.head
    assert head is not None  # noqa: S101
    revision = written.revision_id(expand.id, "rollback")
    about = f"Take change {work.change.id} back."
    text = written.text(
        source.read_text(encoding="utf-8"),
        change=work.change.id,
        expand=expand.id,
        behind=head,
        phase="rollback",
        about=about,
        impact=f"without it again: {work.change.impact}",
    )
    return File(str(source.parent / written.file_name(revision, work.change.id)), text)
