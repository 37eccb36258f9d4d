"""One row for each database of Cosmos DB: the account's consistency and regions, the containers in it."""

from datetime import timedelta

from dbops.across.status.facts import Status
from dbops.config.model import Cosmos
from dbops.engine import clock
from dbops.stores import cosmos


def look(name: str, place: Cosmos, deadline: timedelta) -> Status:
    began = clock.monotonic()
    with cosmos.connect(place, target=name, timeout=deadline) as database:
        account = database.account()
        containers = database.containers()
        latency = timedelta(seconds=clock.monotonic() - began)
        facts = {
            "database": database.name,
            "containers": len(containers),
            "consistency": account.consistency,
            "write_regions": account.write_regions,
            "read_regions": account.read_regions,
            "charge": round(database.spent.charge, 2),
            "throttled": database.spent.throttled,
        }
    return Status(name, "cosmos", "ok", latency, facts=facts)
