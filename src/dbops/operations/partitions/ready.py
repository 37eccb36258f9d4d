"""Partitions, ready to be planned and made; and what can only be looked at."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from psycopg import errors

from dbops.config.model import Config
from dbops.engine import clock, stop
from dbops.engine.finding import Finding
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import DbopsError, LockBusy, Refused, Stopped, UsageError
from dbops.operations.partitions import check, observe, plan, pruning, told
from dbops.operations.partitions.apply import Doing, NoPartitionForNow, NotMade, apply
from dbops.operations.partitions.facts import Facts, Parent, Wish
from dbops.operations.partitions.told import Listed, Table, table
from dbops.operations.partitions.wish import place, wishes
from dbops.stores import databases, postgres
from dbops.stores.postgres import Connection

SUBJECT = "partition-ensure"
DETACHING = "partition"  # the subject under which partitions are detached


def targets(config: Config, names: Sequence[str], *, configured: bool = True) -> list[str]:
    """List the databases; those without a partitioned table in the configuration only where they are asked for."""
    chosen = databases.targets(config, names)
    return chosen if names or not configured else [name for name in chosen if config.postgres[name].partition]


def _chosen(config: Config, target: str, tables: Sequence[str]) -> tuple[Wish, ...]:
    known = wishes(config, target)
    wanted = {place(one) for one in tables}
    return tuple(wish for wish in known if not wanted or wish.table in wanted)


def having(config: Config, names: Sequence[str], table: str) -> list[str]:
    """List the databases whose configuration has this table."""
    known = targets(config, names)
    refuse_unknown(config, known, (table,))
    return [name for name in known if any(wish.table == place(table) for wish in wishes(config, name))]


def refuse_unknown(config: Config, names: Sequence[str], tables: Sequence[str]) -> None:
    known = {wish.table for name in names for wish in wishes(config, name)}
    for one in tables:
        if place(one) not in known:
            raise UsageError(
                f"{one!r} is no partitioned table of the configuration",
                hint=f"one of: {', '.join('.'.join(name) for name in sorted(known)) or 'none is configured'}",
            )


@contextmanager
def ensure(
    config: Config, target: str, run: Run, now: datetime, *, tables: Sequence[str] = (), since: datetime | None = None
) -> Generator[Ready[plan.Action]]:
    """Plan the partitions that are missing. Lock subject: partition-ensure, taken when there is something to do."""
    wanted = _chosen(config, target, tables)
    server = config.postgres[target]
    with ExitStack() as stack:
        connection = stack.enter_context(postgres.connect(server, run, target=target))
        guard: Callable[[], None] = lambda: None  # noqa: E731
        # bounds alone, without a lock: mostly there is nothing to do, and no need to know more
        facts = observe.observe(connection, target=target, asked=[wish.table for wish in wanted])
        planned = plan.plan(facts, wanted, now, since)
        if planned.steps:
            finalize = True
            if not run.plan_only:
                postgres.reap_dead_runs(connection, target)
                guard = stack.enter_context(postgres.only_run(server, run, target=target, subject=SUBJECT))
                finalize = _may_finalize(config, target, run, facts, stack)
            facts = _shaped(connection, target, wanted, now, since, finalize=finalize)
            planned = plan.plan(facts, wanted, now, since)
        doing = Doing(connection, run, target, facts.ledger is not None)
        yield Ready(
            planned,
            partial(apply, doing),
            guard,
            tuple(check.while_ensuring(facts, wanted, now)),
            goes_on_after=(LockBusy, NoPartitionForNow, NotMade),
        )


def _may_finalize(config: Config, target: str, run: Run, facts: Facts, stack: ExitStack) -> bool:
    """A detach that is pending may be somebody's who is still at it: its lock tells."""
    if not any(parent.pending for parent in facts.parents):
        return True
    try:
        stack.enter_context(postgres.only_run(config.postgres[target], run, target=target, subject=DETACHING))
    except LockBusy:
        return False
    return True


def _shaped(
    connection: Connection,
    target: str,
    wanted: Sequence[Wish],
    now: datetime,
    since: datetime | None,
    *,
    finalize: bool,
) -> Facts:
    """Look again, now that nobody else is at it, and at all that a new partition has to be like."""
    facts = observe.observe(connection, target=target, asked=[wish.table for wish in wanted], shapes=True)
    if not finalize:
        facts = replace(facts, parents=tuple(_untouched(parent) for parent in facts.parents))
    parents = (_with_default(connection, parent, wanted, now, since) for parent in facts.parents)
    return replace(facts, parents=tuple(parents))


def _untouched(parent: Parent) -> Parent:
    """Take what is being detached for attached: its bounds are not free yet."""
    return replace(parent, partitions=tuple(replace(one, detach_pending=False) for one in parent.partitions))


def _with_default(
    connection: Connection, parent: Parent, wanted: Sequence[Wish], now: datetime, since: datetime | None
) -> Parent:
    wish = next((wish for wish in wanted if wish.table == parent.place), None)
    if wish is None or parent.default is None or parent.kind is None:
        return parent
    pieces = [piece.span for piece in plan.missing(parent, wish, now, since)]
    rows = observe.default_rows(connection, parent, wish.grid(parent.kind), within=pieces) if pieces else ()
    return replace(parent, default_rows=rows)


@contextmanager
def drop_default(config: Config, target: str, run: Run, now: datetime, *, table: str) -> Generator[Ready[plan.Action]]:
    """Plan to drop an empty default partition. Lock subject: partition-ensure."""
    del now
    wish = _chosen(config, target, (table,))[0]
    server = config.postgres[target]
    with ExitStack() as stack:
        connection = stack.enter_context(postgres.connect(server, run, target=target))
        guard: Callable[[], None] = lambda: None  # noqa: E731
        if not run.plan_only:
            postgres.reap_dead_runs(connection, target)
            guard = stack.enter_context(postgres.only_run(server, run, target=target, subject=SUBJECT))
        facts = observe.observe(connection, target=target, asked=[wish.table])
        parent = facts.parent(wish.table)
        if parent is not None and parent.kind is not None and not facts.standby:
            rows = sum(count for _, count in observe.default_rows(connection, parent, wish.grid(parent.kind)))
            if rows:
                raise Refused(
                    f"the default partition of {parent.told} has {rows} rows; nothing is dropped",
                    hint=f"dbops partition default --target {target} shows them by range; draining it comes later",
                    target=target,
                )
        doing = Doing(connection, run, target, facts.ledger is not None)
        yield Ready(
            plan.plan_default(facts, wish),
            partial(apply, doing),
            guard,
            tuple(check.while_ensuring(facts, (), clock.now())),
        )


def listed(
    config: Config, names: Sequence[str], run: Run, now: datetime, *, exact: bool = False
) -> tuple[list[Listed], list[Finding]]:
    """Describe every partitioned table of the databases; one that cannot be looked at is a finding."""
    found: list[Listed] = []
    findings: list[Finding] = []
    for name in names:
        stop.check()
        try:
            with postgres.connect(config.postgres[name], run, target=name) as connection:
                facts = _looked_at(connection, config, name)
                found.append(_listed(connection, facts, wishes(config, name), now, exact=exact))
        except Stopped:
            raise
        except DbopsError as error:
            findings.append(check.unverified(name, error))
    return found, findings


def _looked_at(connection: Connection, config: Config, name: str) -> Facts:
    """Look at everything, rows of the default and the newest row included."""
    known = {wish.table: wish for wish in wishes(config, name)}
    facts = observe.observe(connection, target=name, asked=list(known), details=True)
    parents: list[Parent] = []
    for parent in facts.parents:
        wish = known.get(parent.place, Wish(parent.place))
        if parent.strategy != "range" or parent.kind is None:
            parents.append(parent)
            continue
        try:
            rows = observe.default_rows(connection, parent, wish.grid(parent.kind))
        except errors.QueryCanceled:
            rows = ()
        parents.append(replace(parent, default_rows=rows, newest=observe.newest(connection, parent)))
    return replace(facts, parents=tuple(parents))


def _listed(connection: Connection, facts: Facts, wanted: Sequence[Wish], now: datetime, *, exact: bool) -> Listed:
    tables: list[Table] = []
    for parent in facts.parents:
        wish = next((one for one in wanted if one.table == parent.place), None)
        shown = observe.counted(connection, parent) if exact else parent
        tables.append(table(shown, wish, now, exact=exact))
    return Listed(facts.target, facts.standby, tuple(tables), tuple(".".join(name) for name in facts.hypertables))


def checked(config: Config, names: Sequence[str], run: Run, now: datetime) -> tuple[list[Finding], list[Facts]]:
    """Judge the partitioned tables; a database that cannot be looked at could not be verified."""
    findings: list[Finding] = []
    seen: list[Facts] = []
    for name in names:
        stop.check()
        try:
            with postgres.connect(config.postgres[name], run, target=name) as connection:
                facts = _looked_at(connection, config, name)
                findings += check.check(facts, wishes(config, name), now)
                for wish in wishes(config, name):
                    findings += [
                        found
                        for query, most in wish.pruned
                        for found in pruning.prove(connection, name, wish, query, most)
                    ]
                seen.append(facts)
        except Stopped:
            raise
        except DbopsError as error:
            findings.append(check.unverified(name, error))
    return findings, seen


@dataclass(frozen=True, slots=True)
class Runway:
    """How long rows of a table go on finding a partition."""

    target: str
    table: str
    now_covered: bool
    runway: timedelta | None  # None: without an end
    promised: timedelta


def runways(config: Config, seen: Sequence[Facts], now: datetime) -> list[Runway]:
    found: list[Runway] = []
    for facts in seen:
        for wish in wishes(config, facts.target):
            parent = facts.parent(wish.table)
            if parent is not None and parent.kind is not None and plan.usable(parent, wish):
                grid = wish.grid(parent.kind)
                here = grid.now(now)
                covered = any(one.span.holds(here) for one in parent.attached)
                left = told.runway(parent, here) if covered else timedelta(0)
                found.append(Runway(facts.target, parent.told, covered, left, check.promised(wish, grid, now)))
    return found
