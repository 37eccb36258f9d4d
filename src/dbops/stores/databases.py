"""The databases of the configuration: which ones are asked for, and who may do there what their owners may not."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import UsageError
from dbops.stores import postgres
from dbops.stores.postgres import Connection


def targets(config: Config, names: Sequence[str]) -> list[str]:
    """List the databases in the order of the configuration; of `names` only, when there are any."""
    for name in names:
        if name not in config.postgres:
            raise UsageError(f"{name!r} is no postgres target", hint=f"one of: {', '.join(config.postgres)}")
    return [name for name in config.postgres if not names or name in names]


def administrator(config: Config, target: str, run: Run) -> AbstractContextManager[Connection]:
    """Connect to a database as the administrator of its cluster."""
    place = config.postgres[target]
    dbname = postgres.database_name(place, target=target)
    return postgres.connect(config.cluster[place.cluster], run, target=target, dbname=dbname)
