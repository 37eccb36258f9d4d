"""modernize, its first part: clients, people, engagements; and whose each of the other parts is."""

import hashlib
import hmac
from collections.abc import Iterator
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

KEY = "the key of every sandbox"  # users_secure shows the addresses with SET app.encryption_key = ...
EACH = 2  # engagements of a client
FLOWS = 4  # of an engagement
SIX = ("rehost", "replatform", "refactor", "rearchitect", "rebuild", "retire")

# An engagement belongs to client n % clients; a flow to engagement n // FLOWS; an asset to one flow of the same.


def client_of(world: World, engagement: int) -> int:
    return engagement % world.size.tenants


def owned(world: World, engagement: int) -> tuple[str, str]:
    return id_of("tenant", client_of(world, engagement)), id_of("engagement", engagement)


def flow_of(world: World, asset: int) -> int:
    return asset % (world.size.tenants * EACH * FLOWS)


def tables(world: World) -> tuple[Table, ...]:
    clients = world.size.tenants
    engagements = clients * EACH
    return (
        table(
            "client_accounts",
            "id name slug description industry company_size subscription_tier max_users settings created_at"
            " updated_at created_by",
            clients,
            partial(_clients, world),
            triggers=False,
        ),
        table(
            "users",
            "id email email_hash first_name last_name is_active is_verified is_admin default_client_id created_at"
            " updated_at last_login",
            world.size.users,
            partial(_users, world),
            triggers=False,
            computed={"email": f"public.pgp_sym_encrypt(email, '{KEY}', 'cipher-algo=aes256')"},
        ),
        table(
            "engagements",
            "id client_account_id name slug description engagement_type status priority start_date"
            " target_completion_date engagement_lead_id client_contact_name client_contact_email migration_scope"
            " created_at updated_at created_by",
            engagements,
            partial(_engagements, world),
            triggers=False,
        ),
        table(
            "user_account_associations",
            "id user_id client_account_id role created_at created_by",
            world.size.users,
            partial(_associations, world),
            triggers=False,
        ),
    )


def _clients(world: World) -> Rows:
    for n in range(world.size.tenants):
        since = world.ago(640 - n * 7 % 60)
        yield (
            *(id_of("tenant", n), people.company(n), people.slug(n), f"Account of {people.company(n)}"),
            *(("retail", "health", "finance")[n % 3], ("small", "medium", "large")[n % 3]),
            *(("standard", "premium")[n % 2], 50 + n % 5 * 50, {"locale": ("en", "de")[n % 2]}, since, since),
            id_of("user", world.user_in(n, 0)),
        )


def _users(world: World) -> Rows:
    for n in range(world.size.users):
        tenant, since = world.tenant_of(n), world.ago(620 - n * 311 % 500)
        address = people.email(n, tenant)
        digest = hmac.new(KEY.encode(), address.lower().encode(), hashlib.sha256).hexdigest()
        yield (
            *(id_of("user", n), address, digest, *people.first_and_last(n), n % 29 != 28, n % 11 != 10, n % 50 == 0),
            *(id_of("tenant", tenant), since, since, world.ago(n * 13 % 60 + 0.4)),
        )


def _engagements(world: World) -> Rows:
    for n in range(world.size.tenants * EACH):
        client = client_of(world, n)
        name, begun = (
            f"{('Cloud', 'Data centre exit')[n // world.size.tenants]} {people.company(client)}",
            world.ago(300),
        )
        lead, contact = world.user_in(client, 1), world.user_in(client, 2)
        scope = {"target_clouds": [("azure", "aws")[n % 2]], "migration_strategies": list(SIX[: 2 + n % 4])}
        yield (
            *(*reversed(owned(world, n)), name, f"{people.slug(client)}-{n // world.size.tenants + 1}"),
            *(f"Moves {people.company(client)}.", "migration", ("active", "completed")[n % 7 == 6]),
            *(("low", "medium", "high")[n % 3], begun, world.ago(-120), id_of("user", lead), people.person(contact)),
            *(people.email(contact, client), scope, begun, begun, id_of("user", lead)),
        )


def _associations(world: World) -> Rows:
    for n in range(world.size.users):
        tenant = world.tenant_of(n)
        role = ("owner", "admin", "member", "member")[min(3, n // world.size.tenants)]
        by = id_of("user", world.user_in(tenant, 0))
        yield id_of("association", n), id_of("user", n), id_of("tenant", tenant), role, world.ago(300 - n % 90), by
