"""modernize, its second part: flows of every kind, and the imports that they began with."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.modernize_accounts import EACH, FLOWS, client_of, owned
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

PHASES = ("data_import", "field_mapping", "data_cleansing", "asset_inventory", "dependency_analysis", "tech_debt")
_KINDS = ("server", "application", "database", "network")


def tables(world: World) -> tuple[Table, ...]:
    flows = world.size.tenants * EACH * FLOWS
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
            flows // FLOWS,
            partial(_collections, world),
            triggers=False,
        ),
        table(
            "assessment_flows",
            "id flow_id master_flow_id client_account_id engagement_id user_id flow_name assessment_type status"
            " asset_scope created_at updated_at",
            flows // FLOWS,
            partial(_assessments, world),
            triggers=False,
        ),
    )


def _phase(n: int) -> tuple[int, str]:
    """Return how many phases of a flow are done, and which one it is in."""
    done = n % (len(PHASES) + 1)
    return done, PHASES[min(done, len(PHASES) - 1)]


def _masters(world: World) -> Rows:
    for n in range(world.size.tenants * EACH * FLOWS):
        done, phase = _phase(n)
        began = world.ago(250 - n * 17 % 200)
        ended = began + timedelta(days=9) if done == len(PHASES) else None
        status = "completed" if ended else "failed" if n % 23 == 22 else "running"
        passed = [{"phase": name, "at": str(began + timedelta(days=k))} for k, name in enumerate(PHASES[:done])]
        yield (
            *(id_of("flow state", n), id_of("flow", n), *owned(world, n // FLOWS)),
            *(id_of("user", world.user_in(client_of(world, n // FLOWS), n)), "discovery", f"Discovery {n % FLOWS + 1}"),
            *(status, phase, 100 * done // len(PHASES), {"depth": "comprehensive", "parallel": n % 4}, passed),
            *(began, ended or began, began, ended),
        )


def _imports(world: World) -> Rows:
    for n in range(world.size.tenants * EACH * FLOWS):
        at, rows, bad = world.ago(251 - n * 17 % 200), 100 + n * 37 % 900, n % 13
        columns = ["hostname", "os", "cpu", "memory_gb", "owner"]
        yield (
            *(id_of("import", n), *owned(world, n // FLOWS), f"inventory-{n % FLOWS + 1}.csv", rows * 120, "csv"),
            *("completed", rows, rows - bad, bad, columns, f"/imports/{id_of('import', n)}.csv", at, at),
            id_of("user", world.user_in(client_of(world, n // FLOWS), n)),
        )


def _discoveries(world: World) -> Rows:
    for n in range(world.size.tenants * EACH * FLOWS):
        done, phase = _phase(n)
        at = world.ago(250 - n * 17 % 200)
        status = "completed" if done == len(PHASES) else "failed" if n % 23 == 22 else "active"
        yield (
            *(id_of("discovery", n), id_of("discovery flow", n), id_of("flow", n), *owned(world, n // FLOWS)),
            *(id_of("user", world.user_in(client_of(world, n // FLOWS), n)), id_of("import", n)),
            *(f"Discovery {n % FLOWS + 1}", status, phase, 100 * done // len(PHASES), done > 0, done > 1),
            *({"servers": n * 7 % 90, "databases": n % 12}, at, at + timedelta(days=done), at + timedelta(days=done)),
        )


def _collections(world: World) -> Rows:
    for n in range(world.size.tenants * EACH):
        at, found = world.ago(200 - n % 90), 10 + n % 30
        yield (
            *(id_of("collection", n), *owned(world, n), id_of("user", world.user_in(client_of(world, n), n))),
            *(f"Collection {n}", "active", found + 5, ("forms", "bulk_upload", "api_integration")[n % 3]),
            *(found, found // 2, 0.5 + n % 50 / 100, at, at),
        )


def _assessments(world: World) -> Rows:
    for n in range(world.size.tenants * EACH):
        at = world.ago(150 - n % 90)
        yield (
            *(id_of("assessment", n), id_of("assessment flow", n), id_of("flow", n * FLOWS), *owned(world, n)),
            *(id_of("user", world.user_in(client_of(world, n), n)), f"Assessment {n}", "comprehensive", "active"),
            *({"types": list(_KINDS)}, at, at),
        )
