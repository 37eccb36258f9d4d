"""modernize: clients, engagements, flows and assets, and the audit log that its triggers would have written.

The triggers stay silent while the rows come: they would note the hour of the seeding, and other ids each time.
"""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

KEY = "the key of every sandbox"  # users_secure shows the addresses with SET app.encryption_key = ...
_EACH = 2  # engagements of a client
_PHASES = ("data_import", "field_mapping", "data_cleansing", "asset_inventory", "dependency_analysis", "tech_debt")
_KINDS = ("server", "application", "database", "network")
_SIX = ("rehost", "replatform", "refactor", "rearchitect", "rebuild", "retire")
_PLACES = ("production", "staging", "development")
_FLOWS = 4  # of an engagement


def tables(world: World) -> tuple[Table, ...]:
    clients = world.size.tenants
    engagements, flows = clients * _EACH, clients * _EACH * _FLOWS
    return (
        *_accounts(world, clients, engagements),
        *_flows(world, flows),
        *_assets(world, engagements),
        table(
            "audit_log",
            "id table_name record_id operation new_values user_id client_account_id timestamp",
            engagements + world.size.assets,
            partial(_log, world),
        ),
    )


def _accounts(world: World, clients: int, engagements: int) -> tuple[Table, ...]:
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


def _flows(world: World, flows: int) -> tuple[Table, ...]:
    return (
        table(
            "crewai_flow_state_extensions",
            "id flow_id client_account_id engagement_id user_id flow_type flow_name flow_status current_phase"
            " progress_percentage flow_config phase_transitions created_at updated_at started_at completed_at",
            flows,
            partial(_masters, world),
            triggers=False,
        ),
        table(
            "data_imports",
            "id client_account_id engagement_id filename file_size_bytes file_type upload_status total_rows"
            " valid_rows invalid_rows columns_detected file_path created_at updated_at uploaded_by",
            flows,
            partial(_imports, world),
            triggers=False,
        ),
        table(
            "discovery_flows",
            "id flow_id master_flow_id client_account_id engagement_id user_id data_import_id flow_name status"
            " current_phase progress_percentage data_import_completed field_mapping_completed analysis_results"
            " created_at updated_at last_phase_update",
            flows,
            partial(_discoveries, world),
            triggers=False,
        ),
        table(
            "collection_flows",
            "id client_account_id engagement_id user_id flow_name status target_application_count collection_method"
            " applications_identified applications_completed data_quality_score created_at updated_at",
            flows // _FLOWS,
            partial(_collections, world),
            triggers=False,
        ),
        table(
            "assessment_flows",
            "id flow_id master_flow_id client_account_id engagement_id user_id flow_name assessment_type status"
            " asset_scope created_at updated_at",
            flows // _FLOWS,
            partial(_assessments, world),
            triggers=False,
        ),
    )


def _assets(world: World, engagements: int) -> tuple[Table, ...]:
    return (
        table(
            "assets",
            "id client_account_id engagement_id asset_name asset_type environment specifications dependencies"
            " configurations sixr_recommendation complexity_score risk_score discovered_from_import_id"
            " discovery_flow_id created_at updated_at last_analyzed",
            world.size.assets,
            partial(_found, world),
            triggers=False,
        ),
        table(
            "sixr_analysis",
            "id client_account_id engagement_id asset_id primary_recommendation confidence_score alternative_options"
            " cost_estimation rationale analyzed_at analyzed_by",
            world.size.assets // 2,
            partial(_analyses, world),
            triggers=False,
        ),
        table(
            "agent_memory",
            "id client_account_id engagement_id agent_type memory_type memory_content confidence_score usage_count"
            " context_tags created_at updated_at last_accessed",
            engagements * 10,
            partial(_memories, world),
            triggers=False,
        ),
        table(
            "agent_task_history",
            "id client_account_id engagement_id flow_id agent_name task_type task_description duration_seconds"
            " tokens_used success_rate task_result started_at completed_at created_at",
            engagements * _FLOWS * 6,
            partial(_tasks, world),
            triggers=False,
        ),
    )


# An engagement belongs to client n % clients; a flow to engagement n // _FLOWS; an asset to one flow of the same.


def _client(world: World, engagement: int) -> int:
    return engagement % world.size.tenants


def _owned(world: World, engagement: int) -> tuple[str, str]:
    return id_of("tenant", _client(world, engagement)), id_of("engagement", engagement)


def _flow_of(world: World, asset: int) -> int:
    return asset % (world.size.tenants * _EACH * _FLOWS)


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
    for n in range(world.size.tenants * _EACH):
        client = _client(world, n)
        name, begun = (
            f"{('Cloud', 'Data centre exit')[n // world.size.tenants]} {people.company(client)}",
            world.ago(300),
        )
        lead, contact = world.user_in(client, 1), world.user_in(client, 2)
        scope = {"target_clouds": [("azure", "aws")[n % 2]], "migration_strategies": list(_SIX[: 2 + n % 4])}
        yield (
            *(*reversed(_owned(world, n)), name, f"{people.slug(client)}-{n // world.size.tenants + 1}"),
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


def _phase(n: int) -> tuple[int, str]:
    """Return how many phases of a flow are done, and which one it is in."""
    done = n % (len(_PHASES) + 1)
    return done, _PHASES[min(done, len(_PHASES) - 1)]


def _masters(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH * _FLOWS):
        done, phase = _phase(n)
        began = world.ago(250 - n * 17 % 200)
        ended = began + timedelta(days=9) if done == len(_PHASES) else None
        status = "completed" if ended else "failed" if n % 23 == 22 else "running"
        passed = [{"phase": name, "at": str(began + timedelta(days=k))} for k, name in enumerate(_PHASES[:done])]
        yield (
            *(id_of("flow state", n), id_of("flow", n), *_owned(world, n // _FLOWS)),
            *(id_of("user", world.user_in(_client(world, n // _FLOWS), n)), "discovery", f"Discovery {n % _FLOWS + 1}"),
            *(status, phase, 100 * done // len(_PHASES), {"depth": "comprehensive", "parallel": n % 4}, passed),
            *(began, ended or began, began, ended),
        )


def _imports(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH * _FLOWS):
        at, rows, bad = world.ago(251 - n * 17 % 200), 100 + n * 37 % 900, n % 13
        columns = ["hostname", "os", "cpu", "memory_gb", "owner"]
        yield (
            *(id_of("import", n), *_owned(world, n // _FLOWS), f"inventory-{n % _FLOWS + 1}.csv", rows * 120, "csv"),
            *("completed", rows, rows - bad, bad, columns, f"/imports/{id_of('import', n)}.csv", at, at),
            id_of("user", world.user_in(_client(world, n // _FLOWS), n)),
        )


def _discoveries(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH * _FLOWS):
        done, phase = _phase(n)
        at = world.ago(250 - n * 17 % 200)
        status = "completed" if done == len(_PHASES) else "failed" if n % 23 == 22 else "active"
        yield (
            *(id_of("discovery", n), id_of("discovery flow", n), id_of("flow", n), *_owned(world, n // _FLOWS)),
            *(id_of("user", world.user_in(_client(world, n // _FLOWS), n)), id_of("import", n)),
            *(f"Discovery {n % _FLOWS + 1}", status, phase, 100 * done // len(_PHASES), done > 0, done > 1),
            *({"servers": n * 7 % 90, "databases": n % 12}, at, at + timedelta(days=done), at + timedelta(days=done)),
        )


def _collections(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH):
        at, found = world.ago(200 - n % 90), 10 + n % 30
        yield (
            *(id_of("collection", n), *_owned(world, n), id_of("user", world.user_in(_client(world, n), n))),
            *(f"Collection {n}", "active", found + 5, ("forms", "bulk_upload", "api_integration")[n % 3]),
            *(found, found // 2, 0.5 + n % 50 / 100, at, at),
        )


def _assessments(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH):
        at = world.ago(150 - n % 90)
        yield (
            *(id_of("assessment", n), id_of("assessment flow", n), id_of("flow", n * _FLOWS), *_owned(world, n)),
            *(id_of("user", world.user_in(_client(world, n), n)), f"Assessment {n}", "comprehensive", "active"),
            *({"types": list(_KINDS)}, at, at),
        )


def _found(world: World) -> Rows:
    for n in range(world.size.assets):
        flow = _flow_of(world, n)
        at = world.ago(240 - n * 13 % 200)
        near = world.size.tenants * _EACH * _FLOWS  # so far apart are assets of one flow
        needs = [{"asset_id": id_of("asset", n - near), "kind": "calls"}] if n >= near else []
        yield (
            *(id_of("asset", n), *_owned(world, flow // _FLOWS), f"{_KINDS[n % 4]}-{n:05}", _KINDS[n % 4]),
            *(
                _PLACES[n // 4 % 3],
                {"cpu": 2 ** (n % 5), "memory_gb": 4 * 2 ** (n % 4), "os": ("linux", "windows")[n % 2]},
            ),
            *(needs, {"backup": n % 3 == 0, "monitored": n % 5 != 0}, _SIX[n % len(_SIX)], n * 7 % 100, n * 11 % 100),
            *(id_of("import", flow), id_of("discovery flow", flow), at, at, at + timedelta(hours=3)),
        )


def _analyses(world: World) -> Rows:
    for n in range(world.size.assets // 2):
        choice = _SIX[n % len(_SIX)]
        other = [{"option": _SIX[(n + 1) % len(_SIX)], "confidence": n % 40 / 100}]
        yield (
            *(id_of("analysis", n), *_owned(world, _flow_of(world, n) // _FLOWS), id_of("asset", n), choice),
            *(0.5 + n % 50 / 100, other, {"monthly_usd": 40 + n * 7 % 900}, f"{choice.title()} costs least here."),
            *(world.ago(240 - n * 13 % 200) + timedelta(hours=3), "sixr-agent"),
        )


def _memories(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH * 10):
        at = world.ago(180 - n % 170)
        content = {"pattern": f"{people.topic(n)} in {_PLACES[n % 3]}", "seen": n % 40 + 1}
        yield (
            *(
                id_of("agent memory", n),
                *_owned(world, n // 10),
                people.agent(n),
                ("pattern", "decision", "feedback")[n % 3],
            ),
            *(content, 0.4 + n % 60 / 100, n % 90, people.topic(n).split(), at, at, world.ago(n % 14)),
        )


def _tasks(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH * _FLOWS * 6):
        flow, at = n // 6, world.ago(250 - n // 6 * 17 % 200) + timedelta(hours=n % 6)
        yield (
            *(id_of("agent task", n), *_owned(world, flow // _FLOWS), id_of("flow", flow), people.agent(n)),
            *(_PHASES[n % 6], f"Does the {_PHASES[n % 6].replace('_', ' ')}.", 20 + n % 400, 300 + n % 4000),
            *(0.6 + n % 40 / 100, {"items": n % 70}, at, at + timedelta(minutes=5), at),
        )


def _log(world: World) -> Rows:
    for n in range(world.size.tenants * _EACH):
        client, key = _owned(world, n)
        who = id_of("user", world.user_in(_client(world, n), 1))
        yield id_of("log/engagement", n), "engagements", key, "INSERT", {"id": key}, who, client, world.ago(300)
    for n in range(world.size.assets):
        engagement = _flow_of(world, n) // _FLOWS
        key, at = id_of("asset", n), world.ago(240 - n * 13 % 200)
        found = {"id": key, "asset_name": f"{_KINDS[n % 4]}-{n:05}", "engagement_id": id_of("engagement", engagement)}
        who = id_of("user", world.user_in(_client(world, engagement), n))
        yield (
            id_of("log/asset", n),
            "assets",
            key,
            "INSERT",
            found,
            who,
            id_of("tenant", _client(world, engagement)),
            at,
        )
