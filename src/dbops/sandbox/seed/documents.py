"""Cosmos DB: the containers of the platform, and the executions, events and conversations in them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from azure.cosmos import PartitionKey

from dbops.engine import stop
from dbops.sandbox.seed import people
from dbops.sandbox.seed.agent_studio import KINDS, MODELS
from dbops.sandbox.seed.facts import Facts, Part
from dbops.sandbox.seed.markers import Told
from dbops.sandbox.seed.world import World, id_of, instant
from dbops.stores.cosmos import Container, Database, Document, translated

_BATCH = 100
_DAY = 86_400
_MESSAGES = 4  # of a session
_EVENTS = ("workflow.started", "agent.executed", "workflow.ended")


def _ascending(*paths: str) -> list[dict[str, str]]:
    """Order by each path; one that begins with a minus, the other way round."""
    return [
        {"path": path.removeprefix("-"), "order": "descending" if path.startswith("-") else "ascending"}
        for path in paths
    ]


# Partition key, time to live, paths that are not indexed, composite indexes.
CONTAINERS: dict[str, tuple[str, int | None, tuple[str, ...], list[list[dict[str, str]]]]] = {
    "workflows": (
        "/workspaceId",
        90 * _DAY,
        ("/state/*", "/checkpoints/*"),
        [
            _ascending("/workspaceId", "/status", "-/createdAt"),
            _ascending("/workspaceId", "/agentId", "-/executedAt"),
        ],
    ),
    "events": (
        "/aggregateId",
        -1,
        ("/payload/*",),
        [_ascending("/aggregateId", "/version"), _ascending("/eventType", "-/timestamp")],
    ),
    "conversations": (
        "/sessionId",
        30 * _DAY,
        ("/content/?",),  # the documents' own path, /messages/*/content, is in no message
        [_ascending("/sessionId", "-/timestamp")],
    ),
    "leases": ("/id", None, (), []),
}


def counts(world: World) -> dict[str, int]:
    return {
        "workflows": world.size.executions,
        "events": world.size.executions * len(_EVENTS),
        "conversations": world.sessions * _MESSAGES,
        "leases": 0,
    }


def observe(database: Database, world: World, told: Told) -> Facts:
    there = {str(one["id"]) for one in database.containers()}
    parts = tuple(
        Part(
            name,
            rows,
            exists=name in there,
            holds=name in there and _holds(database.container(name)),
            begun=told.begun.get(name),
            filled=told.filled.get(name),
        )
        for name, rows in counts(world).items()
    )
    return Facts(database.target, "documents", parts)


def _holds(container: Container) -> bool:
    return any(page.documents for page in container.pages("SELECT TOP 1 c.id FROM c"))


def create(database: Database, name: str) -> None:
    path, lives, excluded, composites = CONTAINERS[name]
    policy = {
        "automatic": True,
        "indexingMode": "consistent",
        "includedPaths": [{"path": "/*"}],
        "excludedPaths": [{"path": one} for one in (*excluded, '/"_etag"/?')],
        "compositeIndexes": composites,
    }
    options: dict[str, Any] = {} if lives is None else {"default_ttl": lives}
    with translated(database.target):
        proxy: Any = database.proxy
        proxy.create_container_if_not_exists(name, PartitionKey(path), indexing_policy=policy, **options)


def write(database: Database, world: World, name: str) -> None:
    """Write all documents of a container; those that are there already become what they are."""
    container = database.container(name)
    for key, found in partitions(name, world):
        while some := [("upsert", (one,)) for one in islice(found, _BATCH)]:
            container.batch(some, key)
            stop.check()


def partitions(name: str, world: World) -> Iterator[tuple[str, Iterator[Document]]]:
    """Yield the documents of a container, by partition key."""
    match name:
        case "workflows":
            for tenant, executions in sorted(_by(world, world.tenant_of).items()):
                yield id_of("tenant", tenant), (_workflow(world, n) for n in executions)
        case "events":
            for agent, executions in sorted(_by(world, lambda agent: agent).items()):
                yield id_of("workflow", agent), _events(world, executions)
        case "conversations":
            for session in range(world.sessions):
                yield id_of("session", session), (message(world, session, k) for k in range(_MESSAGES))
        case _:
            raise AssertionError(name)


def _by(world: World, group: Callable[[int], int]) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for n in range(world.size.executions):
        found[group(world.agent_of(n))].append(n)
    return found


def _workflow(world: World, n: int) -> Document:
    agent, status, began = world.agent_of(n), world.status(n), world.started(n)
    done, about = status not in ("pending", "running"), people.topic(agent)
    ended = began + world.took(n) if done else None
    step = 4 if done else n % 4
    failure = {"code": "Timeout", "message": "timeout", "stackTrace": "", "failedStep": 3, "retryable": True}
    key = id_of("execution", n)
    checkpoints = _checkpoints(world, n, step if done else 0)
    return {
        "id": key,
        "workspaceId": id_of("tenant", world.tenant_of(agent)),
        "workflowId": id_of("workflow", agent),
        "executionId": key,
        "type": "workflow_execution",
        "agentId": id_of("agent", agent),
        "agentType": KINDS[agent % 4],
        "workflowConfig": {
            "name": people.agent(agent),
            "version": 1 + agent % 4,
            "agents": [{"agentId": id_of("agent", agent), "model": MODELS[agent % 3][1]}],
            "settings": {"maxSteps": 4},
        },
        "status": status,
        "progress": {"currentStep": step, "totalSteps": 4, "completedSteps": step, "percentage": step * 25},
        "state": {
            "currentAgentId": id_of("agent", agent),
            "variables": {"topic": about},
            "context": {"memoryIds": [id_of("memory", n)] if n < world.size.memories else []},
        },
        "checkpoints": checkpoints,
        "latestCheckpointId": checkpoints[-1]["checkpointId"] if checkpoints else None,
        "input": {"question": f"What is new about {about}?"},
        "output": {"answer": f"See the notes on {about}."} if status == "completed" else None,
        "error": failure if status == "failed" else None,
        "metrics": _metrics(world, n, ended),
        "createdAt": instant(began),
        "updatedAt": instant(ended or began),
        "executedAt": instant(began),
        "ttl": 90 * _DAY,
        "metadata": {
            "userId": id_of("user", world.user_of(n)),
            "requestId": id_of("request", n),
            "traceId": id_of("trace", n).replace("-", ""),
            "tags": about.split(),
        },
    }


def _checkpoints(world: World, n: int, steps: int) -> list[Document]:
    return [
        {
            "checkpointId": id_of(f"checkpoint/{k}", n),
            "step": k,
            "agentId": id_of("agent", world.agent_of(n)),
            "state": {"notes": people.topic(n + k)},
            "createdAt": instant(world.started(n) + world.took(n) * k / 4),
            "metadata": {},
        }
        for k in range(steps)
    ]


def _metrics(world: World, n: int, ended: datetime | None) -> Document:
    took = round(world.took(n).total_seconds() * 1000)
    return {
        "startedAt": instant(world.started(n)),
        "completedAt": instant(ended) if ended else None,
        "durationMs": took if ended else None,
        "tokensUsed": world.tokens(n) if ended else 0,
        "toolInvocations": n % 5,
        "latencyP50": took // 3,
        "latencyP95": took // 2,
        "latencyP99": took,
    }


def _events(world: World, executions: list[int]) -> Iterator[Document]:
    """Number the events of an aggregate from the oldest on."""
    version = 0
    for n in reversed(executions):
        cause = None
        for k, kind in enumerate(_EVENTS):
            version += 1
            event = _event(world, n, k, kind, version, cause)
            yield event
            cause = event["id"]


def _event(world: World, n: int, k: int, kind: str, version: int, cause: str | None) -> Document:  # noqa: PLR0917
    agent, key = world.agent_of(n), id_of(f"event/{k}", n)
    request = id_of("request", n)
    context = {
        "workspaceId": id_of("tenant", world.tenant_of(agent)),
        "userId": id_of("user", world.user_of(n)),
        "requestId": request,
        "traceId": id_of("trace", n).replace("-", ""),
        "correlationId": request,
    }
    return {
        "id": key,
        "aggregateId": id_of("workflow", agent),
        "eventId": key,
        "type": "domain_event",
        "eventType": kind,
        "eventVersion": 1,
        "aggregateType": "workflow",
        "version": version,
        "payload": {"executionId": id_of("execution", n), "agentId": id_of("agent", agent), "status": world.status(n)},
        "context": context,
        "timestamp": instant(world.started(n) + world.took(n) * k / 2),
        "causationId": cause,
        "correlationId": request,
        "metadata": {},
    }


def message(world: World, session: int, k: int) -> Document:
    """Return one message of a session; an execution's last one is what the agent remembers."""
    agent = world.agent_of(session)
    key = id_of(f"message/{k}", session)
    own = k % 2 == 1
    chance = world.chance(f"message/{session}/{k}")
    return {
        "id": key,
        "sessionId": id_of("session", session),
        "messageId": key,
        "type": "conversation_message",
        "role": ("user", "assistant")[k % 2],
        "content": people.prose(chance, people.topic(agent), 2 + k % 3),
        "agentId": id_of("agent", agent) if own else None,
        "toolCalls": [],
        "workspaceId": id_of("tenant", world.tenant_of(agent)),
        "workflowExecutionId": id_of("execution", session),
        "timestamp": instant(world.started(session) + world.took(session) * k / _MESSAGES),
        "ttl": 30 * _DAY,
        "metadata": {
            "model": MODELS[agent % 3][1],
            "tokensUsed": world.tokens(session) // _MESSAGES,
            "latencyMs": 100 + session * 31 % 900,
            "userId": id_of("user", world.user_of(session)),
        },
    }
