"""workflow: definitions, the executions of the last weeks as instances of them, their tasks and compensations."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

STEPS = (("gather", "agent"), ("draft", "agent"), ("check", "validation"), ("publish", "decision"))
_INSTANCES = 4  # for each execution that still is a document, one of the three before it is kept here too


def instances(world: World) -> int:
    return min(world.size.prompts, world.size.executions * _INSTANCES)


def tables(world: World) -> tuple[Table, ...]:
    size = world.size
    count = instances(world)
    return (
        table(
            "workflows",
            "id name description version status definition created_at updated_at created_by",
            size.agents,
            partial(_workflows, world),
        ),
        table(
            "workflow_instances",
            "id workflow_id current_step_index state context started_at completed_at error_message created_by",
            count,
            partial(_instances, world),
        ),
        table(
            "tasks",
            "id instance_id step_id step_type status input output error_message attempt_count started_at completed_at"
            " duration_ms",
            count * len(STEPS),
            partial(_tasks, world),
        ),
        table(
            "saga_compensations",
            "id instance_id task_id compensation_action compensation_data executed_at status",
            len(_failed(world)),
            partial(_compensations, world),
        ),
        table("workflow_agent_cache", "agent_id agent_name last_synced_at", size.agents, partial(_agents, world)),
    )


def _workflows(world: World) -> Rows:
    """One for each agent: `workflow n` is what `agent n` runs."""
    for n in range(world.size.agents):
        since = world.ago(450 - n * 97 % 60)
        definition = {
            "steps": [{"id": step, "type": kind, "agent_id": id_of("agent", n)} for step, kind in STEPS],
            "retry": {"max_attempts": 3},
        }
        by = id_of("user", world.user_in(world.tenant_of(n), n // world.size.tenants))
        status = ("active", "active", "active", "draft", "deprecated")[n % 5]
        name = f"{people.topic(n)} of {people.slug(world.tenant_of(n))}"
        yield (
            id_of("workflow", n),
            name,
            f"What {people.agent(n)} does.",
            1 + n % 4,
            status,
            definition,
            since,
            since,
            by,
        )


def _instances(world: World) -> Rows:
    for n in range(instances(world)):
        agent, state, began = world.agent_of(n), world.status(n), world.started(n)
        done = state in ("completed", "failed", "cancelled")
        yield (
            *(id_of("execution", n), id_of("workflow", agent), 4 if done else n % 4, state),
            {"workspace_id": id_of("tenant", world.tenant_of(agent)), "topic": people.topic(agent), "attempt": n % 3},
            *(began, began + world.took(n) if done else None, "timeout" if state == "failed" else None),
            id_of("user", world.user_of(n)),
        )


def _tasks(world: World) -> Rows:
    for n in range(instances(world)):
        state, began, each = world.status(n), world.started(n), world.took(n) / len(STEPS)
        for k, (step, kind) in enumerate(STEPS):
            status = _of_task(state, k)
            ran = status in ("completed", "failed")
            at = began + each * k
            yield (
                *(id_of(f"task/{k}", n), id_of("execution", n), step, kind, status, {"step": k}),
                *({"tokens": world.tokens(n) // 4} if status == "completed" else None,),
                *("timeout" if status == "failed" else None, 1 if ran else 0, at if ran else None),
                *(at + each if ran else None, round(each / timedelta(milliseconds=1)) if ran else None),
            )


def _of_task(state: str, step: int) -> str:
    """Everything fails at the third step, and stands still at the second."""
    match state:
        case "completed":
            return "completed"
        case "failed":
            return ("completed", "completed", "failed", "skipped")[step]
        case "cancelled":
            return ("completed", "skipped", "skipped", "skipped")[step]
        case _:
            return ("completed", "running", "pending", "pending")[step]


def _failed(world: World) -> list[int]:
    return [n for n in range(instances(world)) if world.status(n) == "failed"]


def _compensations(world: World) -> Rows:
    for n in _failed(world):
        at = world.started(n) + world.took(n)
        yield (
            *(id_of("compensation", n), id_of("execution", n), id_of("task/1", n), "withdraw the draft"),
            *({"draft": n}, at, "completed"),
        )


def _agents(world: World) -> Rows:
    for n in range(world.size.agents):
        yield id_of("agent", n), people.agent(n), world.ago(n % 60 / 1440)
