"""audit: fourteen months of events of all services, how long each kind is kept, and reports."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed.lines import Table, line, table
from dbops.sandbox.seed.world import AUDIT_MONTHS, World, fresh, id_of, month_before, months

Rows = Iterator[tuple[Any, ...]]

_SCENES = 3000
_KINDS = ("user_action", "user_action", "user_action", "system_event", "security_event")
_KEPT = (("user_action", 730, 365), ("system_event", 180, None), ("security_event", 2555, 730))
_ACTIONS = ("create", "read", "read", "update", "delete", "execute", "execute")
_REPORTS = ("gdpr", "soc2", "iso27001", "nis2", "custom")
# What a resource is called here, and under which name its id is made.
_RESOURCES = (("agent", "agent"), ("workflow", "workflow"), ("file", "file"), ("execution", "execution"))


def tables(world: World) -> tuple[Table, ...]:
    return (
        table(
            "retention_policies",
            "id event_type retention_days anonymize_after_days deletion_strategy created_at updated_at",
            len(_KEPT),
            partial(_policies, world),
        ),
        table(
            "compliance_reports",
            "id report_type start_date end_date filters status file_path generated_at generated_by",
            AUDIT_MONTHS * 2,
            partial(_reports, world),
        ),
        Table(
            "audit_events",
            (
                *("id", "timestamp", "trace_id", "checksum", "event_type", "actor_type", "actor_id"),
                *("actor_ip_address", "action", "resource_type", "resource_id", "result", "metadata"),
                *("before_state", "after_state", "session_id"),
            ),
            world.size.audit_events,
            partial(_events, world),
            months=months(month_before(world.until, AUDIT_MONTHS), world.until),
        ),
    )


def _policies(world: World) -> Rows:
    for n, (kind, days, anonymous) in enumerate(_KEPT):
        strategy = ("anonymize", "hard_delete", "archive")[n]
        yield id_of("retention policy", n), kind, days, anonymous, strategy, world.ago(600), world.ago(600)


def _reports(world: World) -> Rows:
    for n in range(AUDIT_MONTHS * 2):
        first = month_before(world.until, AUDIT_MONTHS - n // 2)
        until = month_before(first, -1)
        status = "failed" if n % 9 == 8 else "completed"
        kind = _REPORTS[n % len(_REPORTS)]
        path = f"/reports/{kind}/{first:%Y-%m}.pdf" if status == "completed" else None
        tenant = n % world.size.tenants
        yield (
            *(id_of("report", n), kind, first, until - timedelta(days=1), {"workspace_id": id_of("tenant", tenant)}),
            *(status, path, world.ago((world.until - until).days - 0.2), id_of("user", world.user_in(tenant, n))),
        )


def _events(world: World) -> Iterator[str]:
    chance = world.chance("audit/audit_events")
    count = world.size.audit_events
    scenes = [_scene(world, n) for n in range(min(_SCENES, count))]
    stamps, ids, traces = world.stamps(chance, count, AUDIT_MONTHS), fresh(chance, count), fresh(chance, count)
    for key, at, trace in zip(ids, stamps, traces, strict=True):
        scene = scenes[chance.randrange(len(scenes))]
        checksum = hashlib.sha256(f"{key}{at}{scene}".encode()).hexdigest()
        yield f"{key}\t{at}\t{trace}\t{checksum}\t{scene}"


def _scene(world: World, n: int) -> str:
    what, kind = _RESOURCES[n % len(_RESOURCES)]
    there = {"agent": world.size.agents, "workflow": world.size.agents, "file": world.size.files}
    number = n * 29 % there.get(kind, world.size.executions)
    tenant = world.tenant_of(world.agent_of(number) if kind == "execution" else number)
    by_service = n % 7 == 6
    actor = id_of("agent", world.agent_in(tenant, n)) if by_service else id_of("user", world.user_in(tenant, n // 7))
    action = _ACTIONS[n % len(_ACTIONS)]
    state = {"status": "active", "version": n % 9, "workspace_id": id_of("tenant", tenant)}
    return line(
        (
            *(_KINDS[n % len(_KINDS)], "service" if by_service else "user", actor, f"172.16.{n % 250}.{n // 13 % 250}"),
            *(action, what, id_of(kind, number), ("success", "success", "success", "failure", "partial")[n // 5 % 5]),
            {"service": what, "workspace_id": id_of("tenant", tenant), "client": "portal", "attempt": 1 + n % 2},
            *(state if action in ("update", "delete") else None,),
            *({**state, "version": n % 9 + 1} if action in ("update", "create") else None,),
            id_of("session", n % world.sessions),
        )
    )
