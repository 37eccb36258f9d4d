"""modernize, its third part: what was found at the clients, what is advised, and how the agents worked."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.modernize_accounts import EACH, FLOWS, SIX, flow_of, owned
from dbops.sandbox.seed.modernize_flows import PHASES
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

KINDS = ("server", "application", "database", "network")
_PLACES = ("production", "staging", "development")


def tables(world: World) -> tuple[Table, ...]:
    engagements = world.size.tenants * EACH
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
            engagements * FLOWS * 6,
            partial(_tasks, world),
            triggers=False,
        ),
    )


def _found(world: World) -> Rows:
    for n in range(world.size.assets):
        flow = flow_of(world, n)
        at = world.ago(240 - n * 13 % 200)
        near = world.size.tenants * EACH * FLOWS  # so far apart are assets of one flow
        needs = [{"asset_id": id_of("asset", n - near), "kind": "calls"}] if n >= near else []
        yield (
            *(id_of("asset", n), *owned(world, flow // FLOWS), f"{KINDS[n % 4]}-{n:05}", KINDS[n % 4]),
            *(
                _PLACES[n // 4 % 3],
                {"cpu": 2 ** (n % 5), "memory_gb": 4 * 2 ** (n % 4), "os": ("linux", "windows")[n % 2]},
            ),
            *(needs, {"backup": n % 3 == 0, "monitored": n % 5 != 0}, SIX[n % len(SIX)], n * 7 % 100, n * 11 % 100),
            *(id_of("import", flow), id_of("discovery flow", flow), at, at, at + timedelta(hours=3)),
        )


def _analyses(world: World) -> Rows:
    for n in range(world.size.assets // 2):
        choice = SIX[n % len(SIX)]
        other = [{"option": SIX[(n + 1) % len(SIX)], "confidence": n % 40 / 100}]
        yield (
            *(id_of("analysis", n), *owned(world, flow_of(world, n) // FLOWS), id_of("asset", n), choice),
            *(0.5 + n % 50 / 100, other, {"monthly_usd": 40 + n * 7 % 900}, f"{choice.title()} costs least here."),
            *(world.ago(240 - n * 13 % 200) + timedelta(hours=3), "sixr-agent"),
        )


def _memories(world: World) -> Rows:
    for n in range(world.size.tenants * EACH * 10):
        at = world.ago(180 - n % 170)
        content = {"pattern": f"{people.topic(n)} in {_PLACES[n % 3]}", "seen": n % 40 + 1}
        yield (
            *(
                id_of("agent memory", n),
                *owned(world, n // 10),
                people.agent(n),
                ("pattern", "decision", "feedback")[n % 3],
            ),
            *(content, 0.4 + n % 60 / 100, n % 90, people.topic(n).split(), at, at, world.ago(n % 14)),
        )


def _tasks(world: World) -> Rows:
    for n in range(world.size.tenants * EACH * FLOWS * 6):
        flow, at = n // 6, world.ago(250 - n // 6 * 17 % 200) + timedelta(hours=n % 6)
        yield (
            *(id_of("agent task", n), *owned(world, flow // FLOWS), id_of("flow", flow), people.agent(n)),
            *(PHASES[n % 6], f"Does the {PHASES[n % 6].replace('_', ' ')}.", 20 + n % 400, 300 + n % 4000),
            *(0.6 + n % 40 / 100, {"items": n % 70}, at, at + timedelta(minutes=5), at),
        )
