"""policycortex: tenants with resources, policies and their evaluations, insights, and two years of daily costs."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, line, table
from dbops.sandbox.seed.world import COST_MONTHS, World, fresh, id_of, mixed, month_before, months

Rows = Iterator[tuple[Any, ...]]

# Type, prefix of its names, provider path, what it is billed as, unit, cost of a usual day.
_TYPES = (
    ("virtual_machine", "vm", "Microsoft.Compute/virtualMachines", "Virtual Machines", "hours", 11.4),
    ("storage_account", "st", "Microsoft.Storage/storageAccounts", "Storage", "GB", 2.1),
    ("sql_database", "sql", "Microsoft.Sql/servers/databases", "SQL Database", "vCore hours", 18.7),
    ("app_service", "app", "Microsoft.Web/sites", "App Service", "hours", 6.3),
    ("key_vault", "kv", "Microsoft.KeyVault/vaults", "Key Vault", "10K operations", 0.4),
    ("load_balancer", "lb", "Microsoft.Network/loadBalancers", "Load Balancer", "hours", 1.2),
)
_PLACES = ("eastus", "westus2", "westeurope", "northeurope")
_POLICIES = (
    ("no-public-access", "security", "Network", "critical"),
    ("encrypt-at-rest", "compliance", "Data", "high"),
    ("tag-cost-center", "finops", "Tags", "low"),
    ("right-size", "cost_optimization", "Compute", "medium"),
    ("allowed-regions", "governance", "Regions", "medium"),
    ("latency-budget", "performance", "Network", "info"),
)
_RESULTS = ("compliant",) * 7 + ("non_compliant", "warning", "non_compliant")
_LOADS = ((4.0, 1), (0.3, 3), (0.05, 8))  # steady, by day, idle but for its peaks: least load, and how rare more is
_INSIGHTS = ("cost_optimization", "anomaly", "security_posture")
_SEVERITIES = ("critical", "high", "medium", "low", "info")
_EVENTS = ("suspicious_login", "port_scan", "secret_expiring", "malware_alert", "privilege_change")


def tables(world: World) -> tuple[Table, ...]:
    return (*_rules(world), *_results(world))


def _rules(world: World) -> tuple[Table, ...]:
    """Who there is, what they have, and which policies hold for it."""
    size = world.size
    policies = size.tenants * len(_POLICIES)
    return (
        table(
            "tenants",
            "id name display_name azure_tenant_id subscription_ids settings created_at updated_at",
            size.tenants,
            partial(_tenants, world),
        ),
        table(
            "users",
            "id tenant_id email display_name azure_object_id role permissions attributes last_login_at created_at"
            " updated_at",
            size.users,
            partial(_users, world),
        ),
        table(
            "resources",
            "id tenant_id azure_resource_id subscription_id resource_group_name name type location properties tags"
            " created_at updated_at synced_at",
            size.resources,
            partial(_resources, world),
        ),
        table(
            "policies",
            "id tenant_id name display_name description type category severity definition metadata enabled version"
            " created_by created_at updated_at",
            policies,
            partial(_policies, world),
        ),
        table(
            "policy_versions",
            "id policy_id version definition changes created_by created_at",
            policies * 2,
            partial(_versions, world),
        ),
    )


def _results(world: World) -> tuple[Table, ...]:
    """What was found, done and paid."""
    size = world.size
    return (
        table(
            "policy_evaluations",
            "id tenant_id policy_id resource_id status result score evidence recommendations execution_time_ms"
            " evaluated_at created_at",
            size.evaluations,
            partial(_evaluations, world),
        ),
        table(
            "actions",
            "id tenant_id resource_id policy_evaluation_id name action_type parameters status dry_run"
            " execution_time_ms executed_by approved_by created_at started_at completed_at",
            len(_bad(world)),
            partial(_actions, world),
        ),
        table(
            "compliance_reports",
            "id tenant_id name filters generated_by status results created_at completed_at",
            size.tenants * 4,
            partial(_reports, world),
        ),
        table(
            "ai_insights",
            "id tenant_id resource_id insight_type title description severity confidence data recommendations"
            " generated_at expires_at",
            size.resources * len(_INSIGHTS),
            partial(_insights, world),
        ),
        table(
            "security_events",
            "id tenant_id resource_id event_type severity title source event_data detected_at acknowledged"
            " acknowledged_by acknowledged_at created_at",
            size.resources * 2,
            partial(_security_events, world),
        ),
        Table(
            "cost_data",
            (
                *("id", "date", "billing_period", "created_at", "cost", "usage_quantity", "tenant_id", "resource_id"),
                *("subscription_id", "resource_group_name", "service_name", "cost_center", "usage_unit"),
            ),
            size.metered * (world.until - month_before(world.until, COST_MONTHS)).days,
            partial(_costs, world),
            months=months(month_before(world.until, COST_MONTHS), world.until),
        ),
    )


def _tenants(world: World) -> Rows:
    for n in range(world.size.tenants):
        since = world.ago(760 - n * 7 % 60)
        settings = {"currency": ("USD", "EUR")[n % 2], "alerts": {"budget": 80, "email": n % 3 != 0}}
        yield (
            *(id_of("tenant", n), people.slug(n), people.company(n), id_of("directory tenant", n)),
            *((id_of("subscription", n),), settings, since, world.ago(n % 30)),
        )


def _users(world: World) -> Rows:
    for n in range(world.size.users):
        tenant, since = world.tenant_of(n), world.ago(620 - n * 311 % 500)
        role = ("admin", "analyst", "user", "user")[n // world.size.tenants % 4]
        yield (
            *(id_of("user", n), id_of("tenant", tenant), people.email(n, tenant), people.person(n)),
            *(id_of("directory", n), role, ("read",) if role == "user" else ("read", "write")),
            *({"department": people.topic(n)}, world.ago(n * 13 % 60 + 0.4), since, since),
        )


def place(world: World, n: int) -> tuple[str, str, str]:
    """Return the group, the name and the Azure id of a resource."""
    _, prefix, path, *_ = _TYPES[n // world.size.tenants % len(_TYPES)]
    tenant = world.tenant_of(n)
    group = f"rg-{people.slug(tenant)}-{('prod', 'dev', 'shared')[n // 7 % 3]}"
    name = f"{prefix}-{people.slug(tenant)}-{n:05}"
    return group, name, f"/subscriptions/{id_of('subscription', tenant)}/resourceGroups/{group}/providers/{path}/{name}"


def _resources(world: World) -> Rows:
    for n in range(world.size.resources):
        tenant = world.tenant_of(n)
        group, name, path = place(world, n)
        tags = {"environment": ("prod", "dev", "shared")[n // 7 % 3], "cost_center": f"CC-{n % 40:03}"}
        if n % 5:
            tags["owner"] = people.email(world.user_in(tenant, n), tenant)
        properties = {
            "description": f"{people.topic(n)} of {people.company(tenant)}",
            "sku": ("B2s", "D4s_v5", "E8s_v5")[n % 3],
            "zones": [str(n % 3 + 1)],
        }
        yield (
            *(id_of("resource", n), id_of("tenant", tenant), path, id_of("subscription", tenant), group, name),
            *(_TYPES[n // world.size.tenants % len(_TYPES)][0], _PLACES[n % 4], properties, tags),
            *(world.ago(740 - n * 17 % 300), world.ago(n % 20), world.ago(n % 3 / 4)),
        )


def _policies(world: World) -> Rows:
    for tenant in range(world.size.tenants):
        for k, (name, kind, category, severity) in enumerate(_POLICIES):
            n = tenant * len(_POLICIES) + k
            definition = {"if": {"field": "type", "in": [_TYPES[k][0]]}, "then": {"effect": "audit"}}
            yield (
                *(id_of("policy", n), id_of("tenant", tenant), name, name.replace("-", " ").capitalize()),
                *(f"{category}: {name}", kind, category, severity, definition, {"source": "catalogue"}, n % 19 != 18),
                *(2, id_of("user", world.user_in(tenant, 0)), world.ago(700 - n % 60), world.ago(120 - n % 60)),
            )


def _versions(world: World) -> Rows:
    for n in range(world.size.tenants * len(_POLICIES)):
        tenant, kind = n // len(_POLICIES), _TYPES[n % len(_POLICIES)][0]
        for version in (1, 2):
            definition = {"if": {"field": "type", "in": [kind]}, "then": {"effect": ("deny", "audit")[version - 1]}}
            yield (
                *(id_of(f"policy version/{version}", n), id_of("policy", n), version, definition),
                *(("first version", "audit before it denies")[version - 1], id_of("user", world.user_in(tenant, 0))),
                world.ago((700 if version == 1 else 120) - n % 60),
            )


def _bad(world: World) -> list[int]:
    """Return the evaluations that somebody acted on."""
    bad = (n for n in range(world.size.evaluations) if _result(n) == "non_compliant" and not _pending(world, n))
    return [n for n in bad if n % 5 == 0]


def _result(n: int) -> str:
    return _RESULTS[mixed(n) % len(_RESULTS)]


def _pending(world: World, n: int) -> bool:
    return n < world.size.resources and n % 50 == 49


def evaluated(world: World, n: int) -> tuple[int, int, int]:
    """Return resource, policy and round of an evaluation: no round sees a pair of them twice."""
    resource = n % world.size.resources
    k, turn = n // world.size.resources % len(_POLICIES), n // (world.size.resources * len(_POLICIES))
    return resource, world.tenant_of(resource) * len(_POLICIES) + k, turn


def _evaluations(world: World) -> Rows:
    for n in range(world.size.evaluations):
        resource, policy, turn = evaluated(world, n)
        ids = id_of("evaluation", n), id_of("tenant", world.tenant_of(resource)), id_of("policy", policy)
        at = world.ago(turn * 11 + n * 13 % 97 / 10)
        if _pending(world, n):
            yield (*ids, id_of("resource", resource), "pending", None, None, [], (), None, None, at)
            continue
        result = _result(n)
        advice = () if result == "compliant" else ("turn it off", f"see {_POLICIES[policy % len(_POLICIES)][0]}")
        evidence = [{"field": "properties", "expected": True, "found": result == "compliant", "rule": n % 12}]
        score = {"compliant": "100.00", "warning": "60.00"}.get(result, "20.00")
        yield (*ids, id_of("resource", resource), "completed", result, score, evidence, advice, 20 + n % 400, at, at)


def _actions(world: World) -> Rows:
    for n in _bad(world):
        resource, policy, turn = evaluated(world, n)
        tenant = world.tenant_of(resource)
        at = world.ago(turn * 11 + n * 13 % 97 / 10) + timedelta(hours=2)
        status = ("completed", "completed", "failed", "rolled_back")[n // 40 % 4]
        yield (
            *(id_of("action", n), id_of("tenant", tenant), id_of("resource", resource), id_of("evaluation", n)),
            *(f"remediate {_POLICIES[policy % len(_POLICIES)][0]}", "remediation", {"mode": "incremental"}, status),
            *(n // 40 % 5 == 4, 800 + n % 5000, id_of("user", world.user_in(tenant, n))),
            *(id_of("user", world.user_in(tenant, 0)), at, at, at + timedelta(minutes=3)),
        )


def _reports(world: World) -> Rows:
    for n in range(world.size.tenants * 4):
        tenant, at = n % world.size.tenants, world.ago(1 + n // world.size.tenants * 90)
        results = {"score": 60 + n * 7 % 40, "resources": world.size.resources // world.size.tenants}
        yield (
            *(id_of("compliance report", n), id_of("tenant", tenant), f"Quarter of {people.company(tenant)}"),
            *({"severity": ["critical", "high"]}, id_of("user", world.user_in(tenant, n)), "completed", results),
            *(at, at + timedelta(minutes=4)),
        )


def _insights(world: World) -> Rows:
    for n in range(world.size.resources * len(_INSIGHTS)):
        resource, kind = n // len(_INSIGHTS), _INSIGHTS[n % len(_INSIGHTS)]
        at = world.ago(n % 25 + 0.3)
        yield (
            *(id_of("insight", n), id_of("tenant", world.tenant_of(resource)), id_of("resource", resource), kind),
            *(f"{kind.replace('_', ' ')} of {place(world, resource)[1]}", "Found by comparing the last thirty days."),
            *(
                _SEVERITIES[mixed(n) % 5],
                f"0.{40 + mixed(n) % 60}",
                {"window_days": 30, "value": n % 100},
                ("look at it",),
            ),
            *(at, at + timedelta(days=30 + n % 30)),
        )


def _security_events(world: World) -> Rows:
    for n in range(world.size.resources * 2):
        resource = n % world.size.resources
        tenant, at = world.tenant_of(resource), world.ago(n * 7 % 90 + 0.6)
        seen = n % 3 == 0
        yield (
            *(id_of("security event", n), id_of("tenant", tenant), id_of("resource", resource)),
            *(_EVENTS[n % len(_EVENTS)], _SEVERITIES[n // 3 % 5], _EVENTS[n % len(_EVENTS)].replace("_", " ")),
            *("defender", {"ip": f"203.0.113.{n % 250}", "count": n % 17}, at, seen),
            *(id_of("user", world.user_in(tenant, n)) if seen else None, at + timedelta(hours=1) if seen else None, at),
        )


def _costs(world: World) -> Iterator[str]:
    """Day by day, so that each partition is filled in one go; weekends are cheaper and prices rise slowly."""
    chance = world.chance("policycortex/cost_data")
    first = month_before(world.until, COST_MONTHS)
    metered = [_metered(world, n) for n in range(world.size.metered)]
    days = (world.until - first).days
    ids = fresh(chance, days * len(metered))
    roll = chance.random
    for number in range(days):
        day = first + timedelta(days=number)
        factor = (0.72 if day.weekday() > 4 else 1.0) * (1.0 + number / days / 4)  # Saturday, Sunday
        head = f"{day}\t{day:%Y-%m}\t{day + timedelta(days=1)} 03:00:00+00"
        for usual, (least, power), tail in metered:
            chosen = roll()
            cost, use = usual * factor * (0.8 + 0.4 * chosen), 24 * factor * (least + chosen**power)
            yield f"{next(ids)}\t{head}\t{cost:.4f}\t{use:.4f}\t{tail}"


def _metered(world: World, n: int) -> tuple[float, tuple[float, int], str]:
    tenant = world.tenant_of(n)
    *_, service, unit, usual = _TYPES[n // world.size.tenants % len(_TYPES)]
    tail = (
        *(id_of("tenant", tenant), id_of("resource", n), id_of("subscription", tenant), place(world, n)[0]),
        *(service, f"CC-{n % 40:03}", unit),
    )
    return usual * (1 + n % 7 / 3), _LOADS[mixed(n) % len(_LOADS)], line(tail)
