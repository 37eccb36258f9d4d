"""Materialized views, ready to be listed, refreshed and checked: one database at a time."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial

from dbops.config.model import Config
from dbops.engine.finding import Finding, Severity, failure
from dbops.engine.patience import Ramp
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import LockBusy, UsageError
from dbops.operations.views import apply, content
from dbops.operations.views import plan as plans
from dbops.operations.views.facts import Compared, Declared, Facts, Setting, Wanted
from dbops.operations.views.observe import again, named, observe
from dbops.stores import databases, ledger, postgres
from dbops.stores.postgres import Connection

SUBJECT = "views"


def declared_in(config: Config, target: str) -> Declared:
    """Tell what is declared of the views of a database."""
    return {
        name: Setting(one.schedule, one.staleness, one.mode, one.timeout, one.skip_unchanged)
        for name, one in config.postgres[target].view.items()
    }


def declaring(config: Config, names: Sequence[str], views: Sequence[str]) -> list[str]:
    """Choose the targets that views are looked for in: those named, else those that declare them."""
    chosen = databases.targets(config, names)
    if names or not views or len(chosen) == 1:
        return chosen
    found = {view: [name for name in chosen if _declares(config, name, view)] for view in views}
    for view, places in found.items():
        if len(places) != 1:
            some = f"is declared for {' and '.join(places)}" if places else "is declared for no target"
            raise UsageError(f"{view} {some}", hint="say where it is: --target NAME")
    return [name for name in chosen if any(name in places for places in found.values())]


def _declares(config: Config, target: str, view: str) -> bool:
    return bool({view, view.removeprefix("public."), f"public.{view}"} & config.postgres[target].view.keys())


@contextmanager
def refresh(
    config: Config,
    target: str,
    run: Run,
    now: datetime,
    *,
    wanted: Wanted,
    skip_busy: bool = False,
    ramp: Ramp = apply.RAMP,
) -> Generator[Ready[plans.Action]]:
    """Plan which views to refresh, and how. Lock subject: view:NAME for each, taken where there is something to do."""
    del now  # the server's clock counts: the ledger's instants are by it
    place = config.postgres[target]
    with postgres.connect(place, run, target=target) as connection, ExitStack() as stack:
        facts = observe(connection, target=target)
        planner = partial(_planned, config, wanted, connection)
        planned = planner(facts, {})
        guard: Callable[[], None] = lambda: None  # noqa: E731
        if planned.plan.steps and not run.plan_only:
            # a dead run's backend may still hold the very lock that is wanted next
            postgres.reap_dead_runs(connection, target)
            taking = postgres.only_runs(place, run, target=target, subjects=planned.subjects)
            busy, guard = stack.enter_context(taking)
            facts = again(connection, facts, [one.oid for one in plans.refreshes_of(planned.plan)])
            planned = planner(facts, _told(busy, target, skip_busy=skip_busy))
            if busy and not planned.plan.steps:
                raise next(iter(busy.values()))
        if planned.unchanged and not run.plan_only and not facts.standby and facts.ledger is not None:
            detail = {"views": list(planned.unchanged)}
            ledger.write(connection, run, target=target, subject=SUBJECT, kind="MatviewsUnchanged", detail=detail)
        doing = apply.Doing(
            target,
            run,
            connection,
            another=partial(postgres.connect, place, run, target=target),
            administrator=partial(databases.administrator, config, target, run),
            views={view.oid: view for view in facts.views},
            ramp=ramp,
        )
        yield Ready(
            planned.plan,
            partial(apply.apply, doing),
            guard,
            planned.findings,
            goes_on_after=apply.GOES_ON_AFTER,
        )


def _planned(
    config: Config, wanted: Wanted, connection: Connection, facts: Facts, busy: Mapping[str, Finding]
) -> plans.Planned:
    target = facts.target
    declared = declared_in(config, target)
    downstream = frozenset[int]()
    if wanted.downstream_of is not None:
        schema, _, name = wanted.downstream_of.rpartition(".")
        downstream = named(connection, schema or "public", name)
        if not downstream:
            raise UsageError(f"{wanted.downstream_of} is not in {target}", hint="write it as schema.table")
    # An older ledger serves as well: cron need not hold the administrator's secret for it.
    installing = ledger.install(None, owner=connection.info.user) if facts.ledger is None else ()
    planned = plans.plan(facts, wanted, declared, installing, downstream=downstream, busy=busy)
    return plans.with_findings(planned, plans.plain_ones(facts, planned, declared))


def _told(busy: Mapping[str, LockBusy], target: str, *, skip_busy: bool) -> dict[str, Finding]:
    told: dict[str, Finding] = {}
    for subject, error in busy.items():
        one = failure(error, target)
        told[subject] = Finding(Severity.INFO, one.code, one.target, one.message, one.hint) if skip_busy else one
    return told


def looked(config: Config, target: str, run: Run) -> Facts:
    """Look at the views of a database; changes nothing."""
    with postgres.connect(config.postgres[target], run, target=target) as connection:
        return observe(connection, target=target)


def compared(config: Config, target: str, run: Run, names: Sequence[str]) -> tuple[Facts, tuple[Compared, ...]]:
    """Look, and compare each view (or those of `names`) with its own query."""
    with postgres.connect(config.postgres[target], run, target=target) as connection:
        facts = observe(connection, target=target)
        chosen = plans.chosen_by_name(facts, names) if names else facts.views
        return facts, tuple(content.compare(connection, view) for view in chosen if view.populated)
