"""The cluster as it is now, to hold the restored one against; a cluster that is down has nothing to say."""

from dbops.config.model import Cluster
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped
from dbops.operations.clusters.restore.examine import sql as asked
from dbops.operations.clusters.restore.examine.facts import Live, Security
from dbops.operations.clusters.restore.examine.observe import security
from dbops.stores import postgres


def live(place: Cluster, run: Run, target: str) -> Live:
    """Look at roles and row security of the live cluster, as far as it answers."""
    found: list[Security] = []
    try:
        with postgres.connect(place, run, target=target) as connection:
            roles = tuple(str(row[0]) for row in connection.execute(asked.ROLES).fetchall())
            names = [str(row[0]) for row in connection.execute(asked.DATABASES).fetchall()]
        for name in names:
            with postgres.connect(place, run, target=target, dbname=name) as connection:
                found += security(connection, name)
    except Stopped:
        raise
    except DbopsError as error:
        return Live(why_not=error.message.splitlines()[0])
    return Live(tuple(found), roles)
