"""A copy for a rehearsal out of the cluster's backup: `clusters` restores it, `migrate` is told where it is."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.config.model import Config
from dbops.engine import clock, stop
from dbops.engine.run import Run
from dbops.operations.clusters.reach import ready as reaching
from dbops.operations.clusters.reach.facts import Target
from dbops.operations.clusters.restore import goals, places, plan, ready
from dbops.operations.clusters.restore.apply import Told
from dbops.operations.clusters.restore.facts import Goal, Wanted
from dbops.servers import postgres as servers
from dbops.servers import scratch
from dbops.stores import postgres

_SUPERUSER = "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10"


@contextmanager
def from_backup(config: Config, target: str, run: Run) -> Generator[str]:
    """Restore the cluster beside itself, and yield how its superuser gets into the database there; then remove it."""
    cluster = config.postgres[target].cluster

    def choose() -> Goal:
        return goals.goal(reaching.plan_target(config, cluster, Target("latest"), run, clock.now()))

    with ready.scratch(config, cluster, run, choose, wanted=Wanted(), now=clock.now(), told=Told()) as restore:
        for step in restore.plan.steps:
            if isinstance(step.action, plan.Remove):
                break  # the end of the block removes it
            stop.check()
            restore.guard()
            restore.apply(step)
        server = scratch.at(places.describe(run, cluster, None).home)
        user = str(conninfo_to_dict(postgres.dsn(config.cluster[cluster], target=cluster))["user"])
        dbname = postgres.database_name(config.postgres[target], target=target)
        there = servers.conninfo(server, user=user, dbname=dbname)
        with postgres.translated(target), psycopg.connect(there, autocommit=True) as connection:
            row = connection.execute(_SUPERUSER).fetchone()
        yield make_conninfo(there, user=str(row[0]) if row else user)
