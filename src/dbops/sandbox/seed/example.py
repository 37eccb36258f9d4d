"""example: people and workspaces for the worked changes; some are old, and some people have no email."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

_TIERS = ("free", "pro", "enterprise", "pro")


def tables(world: World) -> tuple[Table, ...]:
    size = world.size
    return (
        table("users", "user_id email display_name created_at updated_at", size.users, partial(_users, world)),
        table(
            "workspaces",
            "workspace_id name slug owner_id tier settings created_at updated_at",
            size.tenants,
            partial(_workspaces, world),
        ),
        table(
            "workspace_members",
            "workspace_id user_id role created_at updated_at",
            size.users,
            partial(_members, world),
        ),
    )


def _users(world: World) -> Rows:
    for n in range(world.size.users):
        email = None if n % 17 == 16 else people.email(n, world.tenant_of(n))
        yield (id_of("user", n), email, people.person(n), world.ago(900 - n % 800), world.ago(n * 13 % 60 + 0.4))


def _workspaces(world: World) -> Rows:
    for n in range(world.size.tenants):
        settings = {"notifications": n % 3 != 0, "max_agents": 50 + n % 5 * 50}
        owner = id_of("user", world.user_in(n, 0))
        since = world.ago(900 - n * 37 % 800)  # the document forgets those that were made before 2025
        yield (id_of("tenant", n), people.company(n), people.slug(n), owner, _TIERS[n % 4], settings, since, since)


def _members(world: World) -> Rows:
    for n in range(world.size.users):
        since = world.ago(100 + n % 60)
        role = ("owner", "admin", "member", "viewer")[n // world.size.tenants % 4]
        yield (id_of("tenant", world.tenant_of(n)), id_of("user", n), role, since, since)
