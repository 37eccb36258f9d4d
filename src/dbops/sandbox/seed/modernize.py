"""modernize: clients, engagements, flows and assets, and the audit log that its triggers would have written.

The triggers stay silent while the rows come: they would note the hour of the seeding, and other ids each time.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from dbops.sandbox.seed import modernize_accounts, modernize_assets, modernize_flows
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.modernize_accounts import EACH, FLOWS, client_of, flow_of, owned
from dbops.sandbox.seed.modernize_assets import KINDS
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]


def tables(world: World) -> tuple[Table, ...]:
    return (
        *modernize_accounts.tables(world),
        *modernize_flows.tables(world),
        *modernize_assets.tables(world),
        table(
            "audit_log",
            "id table_name record_id operation new_values user_id client_account_id timestamp",
            world.size.tenants * EACH + world.size.assets,
            partial(_log, world),
        ),
    )


def _log(world: World) -> Rows:
    for n in range(world.size.tenants * EACH):
        client, key = owned(world, n)
        who = id_of("user", world.user_in(client_of(world, n), 1))
        yield id_of("log/engagement", n), "engagements", key, "INSERT", {"id": key}, who, client, world.ago(300)
    for n in range(world.size.assets):
        engagement = flow_of(world, n) // FLOWS
        key, at = id_of("asset", n), world.ago(240 - n * 13 % 200)
        found = {"id": key, "asset_name": f"{KINDS[n % 4]}-{n:05}", "engagement_id": id_of("engagement", engagement)}
        who = id_of("user", world.user_in(client_of(world, engagement), n))
        yield (
            id_of("log/asset", n),
            "assets",
            key,
            "INSERT",
            found,
            who,
            id_of("tenant", client_of(world, engagement)),
            at,
        )
