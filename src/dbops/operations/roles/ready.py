"""Roles, ready to be planned, applied and checked. Clusters come before the databases that need their roles."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from dbops.config.model import Cluster, Config
from dbops.engine import stop
from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import DbopsError, Refused, Stopped, UsageError
from dbops.operations.roles import check
from dbops.operations.roles.actions import ClusterAction, DatabaseAction
from dbops.operations.roles.apply import SUBJECT, Doing, apply
from dbops.operations.roles.facts import DatabaseFacts, DatabaseWish
from dbops.operations.roles.observe import observe_cluster, observe_database
from dbops.operations.roles.plan import plan_cluster, plan_database
from dbops.operations.roles.wish import cluster_wish, database_wish
from dbops.operations.roles.words import told
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection


def targets(config: Config, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """List the clusters, then the databases; of `names` only, when there are any."""
    known = [*config.cluster, *config.postgres]
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r} is no cluster and no postgres target", hint=f"one of: {', '.join(known)}")
    wanted = set(names or known)
    return [n for n in config.cluster if n in wanted], [n for n in config.postgres if n in wanted]


@contextmanager
def ready_cluster(config: Config, name: str, run: Run, now: datetime) -> Generator[Ready[ClusterAction]]:
    """Compare the roles of a cluster with the configuration, as its administrator. Lock subject: roles."""
    del now  # roles do not depend on it
    wish = cluster_wish(config, name)
    place = config.cluster[name]
    with _at_work(place, run, name, None) as (connection, guard):
        facts = observe_cluster(connection, wish)
        plan = plan_cluster(facts, wish)
        findings = (
            *check.lacking_power(facts, wish, steps=len(plan.steps)),
            *check.unverified(facts, wish),
            *check.not_droppable(facts, wish),
        )
        database = partial(_database, place, run, name)
        doing = Doing(connection, run, name, database)
        yield Ready(plan, partial(apply, doing), guard, findings)


@contextmanager
def ready_database(config: Config, target: str, run: Run, now: datetime) -> Generator[Ready[DatabaseAction]]:
    """Compare one database with the configuration, as its cluster's administrator: its owner may not exist yet."""
    del now
    wish = database_wish(config, target)
    place = config.cluster[wish.cluster]
    dbname = postgres.database_name(config.postgres[target], target=target)
    with _at_work(place, run, target, dbname) as (connection, guard):
        facts = observe_database(connection, target=target)
        plan = plan_database(facts, wish, ledger.install(facts.ledger, owner=wish.owner))
        if plan.steps and not run.plan_only:
            _roles_are_there(facts, wish)
        doing = Doing(connection, run, target, partial(_database, place, run, target))
        yield Ready(plan, partial(apply, doing), guard, tuple(check.unknown_schemas(facts, wish)))


@contextmanager
def _at_work(
    place: Cluster, run: Run, target: str, dbname: str | None
) -> Generator[tuple[Connection, Callable[[], None]]]:
    """Open the connection and, to change something, hold the lock."""
    with postgres.connect(place, run, target=target, dbname=dbname) as connection:
        if run.plan_only:
            yield connection, lambda: None
            return
        # a dead run's backend may still hold the very lock that is wanted next
        postgres.reap_dead_runs(connection, target)
        with postgres.only_run(place, run, target=target, subject=SUBJECT, dbname=dbname) as guard:
            yield connection, guard


@contextmanager
def _database(place: Cluster, run: Run, target: str, dbname: str) -> Generator[Connection]:
    with postgres.connect(place, run, target=target, dbname=dbname) as connection:
        yield connection


def _roles_are_there(facts: DatabaseFacts, wish: DatabaseWish) -> None:
    missing = sorted({*(rule.to for rule in wish.rules), *wish.creating} - facts.roles)
    if missing:
        raise Refused(
            f"{len(missing)} roles of the plan do not exist yet, {told(missing[0])} for one",
            hint=f"dbops roles apply --target {wish.cluster} makes the declared ones",
            target=wish.target,
        )


def checked(config: Config, names: Sequence[str], run: Run) -> list[Finding]:
    """Judge clusters and databases; one that cannot be looked at is a finding, not the end."""
    clusters, databases = targets(config, names)
    found: list[Finding] = []
    for name, judge in [
        *((name, _checked_cluster) for name in clusters),
        *((name, _checked_database) for name in databases),
    ]:
        stop.check()
        try:
            found += judge(config, name, run)
        except Stopped:
            raise
        except DbopsError as error:
            found.append(Finding(Severity.UNKNOWN, "DBR100", name, f"could not verify: {error.message}", error.hint))
    return found


def _checked_cluster(config: Config, name: str, run: Run) -> list[Finding]:
    wish = cluster_wish(config, name)
    with postgres.connect(config.cluster[name], run, target=name) as connection:
        facts = observe_cluster(connection, wish)
    return check.check_cluster(facts, wish, steps=len(plan_cluster(facts, wish).steps))


def _checked_database(config: Config, name: str, run: Run) -> list[Finding]:
    wish = database_wish(config, name)
    dbname = postgres.database_name(config.postgres[name], target=name)
    with postgres.connect(config.cluster[wish.cluster], run, target=name, dbname=dbname) as connection:
        facts = observe_database(connection, target=name)
    return check.check_database(facts, wish, steps=len(plan_database(facts, wish).steps))
