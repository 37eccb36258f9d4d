"""Redis: what the services would have cached, counted and locked, under the keys and for the times of the documents.

`session:` comes twice in them, for an hour and for a day: here it is the day of Agent Studio, whose sessions these are.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, Literal

from dbops.engine import stop
from dbops.sandbox.seed import people
from dbops.sandbox.seed.agent_studio import KINDS, ROLES, agent_totals
from dbops.sandbox.seed.facts import Facts, Part
from dbops.sandbox.seed.lines import json
from dbops.sandbox.seed.policycortex import place
from dbops.sandbox.seed.world import World, id_of, instant
from dbops.stores.redis import translated

_AT_ONCE = 500
_DAY = 86_400
_SEARCHES = 40


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its kind decides what `value` is (text, members, fields, or members with scores)."""

    name: str
    kind: Literal["string", "set", "hash", "zset"]
    value: Any
    lives_s: int | None


def keys(world: World) -> Iterator[Key]:
    yield from _resources(world)
    yield from _sessions(world)
    yield from _workspaces(world)
    yield from _runs(world)


def _text(name: str, value: Any, lives_s: int | None) -> Key:
    return Key(name, "string", value if isinstance(value, str) else json(value), lives_s)


def _resources(world: World) -> Iterator[Key]:
    for n in range(world.size.resources):
        key, tenant = id_of("resource", n), id_of("tenant", world.tenant_of(n))
        group, name, path = place(world, n)
        row = {"id": key, "tenant_id": tenant, "azure_resource_id": path, "resource_group_name": group, "name": name}
        yield _text(f"resource:{key}", row, 300)
        yield _text(f"azure_resource:{path}", key, 300)
        yield _text(f"compliance:{key}", {"resource_id": key, "score": 60 + n * 7 % 41}, 180)
        insights = [{"id": id_of("insight", n * 3 + k), "resource_id": key} for k in range(3)]
        yield _text(f"ai_insights:{key}", insights, 1800)
    for n in range(_SEARCHES):
        asked = f"query {{ resources(tenant: {id_of('tenant', n % world.size.tenants)}) {{ id name }} }} # {n}"
        found = {"data": {"resources": [id_of("resource", n % world.size.tenants)]}}
        yield _text(f"query:{_hash(asked)}", found, 60)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


def _sessions(world: World) -> Iterator[Key]:
    minute = int(world.end.timestamp()) // 60
    mine: dict[int, list[str]] = {}
    for n in range(world.sessions):
        user, key = world.user_of(n), id_of("session", n)
        tenant = id_of("tenant", world.tenant_of(user))
        value = {"user_id": id_of("user", user), "workspace_id": tenant, "expires_at": instant(world.ago(-1))}
        yield _text(f"session:{key}", value, _DAY)
        mine.setdefault(user, []).append(key)
    for user, found in sorted(mine.items()):
        who, tenant = id_of("user", user), world.tenant_of(user)
        role = ROLES[user // world.size.tenants % len(ROLES)]
        yield Key(f"user:{who}:sessions", "set", found, _DAY)
        yield _text(f"rate_limit:user:{who}:minute:{minute}", str(user * 7 % 60 + 1), 60)
        yield _text(f"access:{who}:{id_of('tenant', tenant)}", role, 300)


def _workspaces(world: World) -> Iterator[Key]:
    runs = agent_totals(world)[0]
    active = Counter(
        world.tenant_of(world.agent_of(n))
        for n in range(world.size.executions)
        if world.status(n) in ("pending", "running")
    )
    for n in range(world.size.tenants):
        key, agents = id_of("tenant", n), range(n, world.size.agents, world.size.tenants)
        rows = [{"agent_id": id_of("agent", a), "name": people.agent(a), "agent_type": KINDS[a % 4]} for a in agents]
        alive = [row for a, row in zip(agents, rows, strict=True) if a % 17 != 16]  # as the table has it
        yield _text(f"workspace:{key}", {"workspace_id": key, "name": people.company(n), "slug": people.slug(n)}, 600)
        yield _text(f"workspace:{key}:agents:active", alive, 300)
        yield _text(f"workspace:{key}:active_workflows", str(active[n]), None)
        yield _text(f"workspace:{key}:requests_per_minute", str(n * 31 % 240), None)
        yield Key(f"workspace:{key}:agent_stats", "hash", {id_of("agent", a): runs[a] for a in agents}, None)
    scores = {id_of("agent", a): count for a, count in sorted(runs.items())}
    yield Key("leaderboard:agents:executions", "zset", scores, None)


def _runs(world: World) -> Iterator[Key]:
    running = [n for n in range(world.size.executions) if world.status(n) == "running"]
    for workflow in sorted({world.agent_of(n) for n in running}):
        yield _text(f"lock:workflow:{id_of('workflow', workflow)}", "locked", 300)
    for n in range(min(_SEARCHES, world.size.memories)):
        asked = f"{people.topic(n)}? {n}"
        yield _text(f"search:{_hash(asked)}", [{"memoryId": id_of("memory", n), "@search.score": 0.9}], 300)


def observe(client: Any, world: World, *, target: str) -> Facts:
    count = missing = 0
    with translated(target):
        for some in _some(world):
            count += len(some)
            missing += len(some) - len(_there(client, some))
    return Facts(target, "keys", (Part("keys", count, missing=missing),))


def _some(world: World) -> Iterator[list[Key]]:
    found = keys(world)
    while some := list(islice(found, _AT_ONCE)):
        yield some
        stop.check()


def _there(client: Any, some: list[Key]) -> set[str]:
    with client.pipeline(transaction=False) as pipe:
        for key in some:
            pipe.exists(key.name)
        return {key.name for key, found in zip(some, pipe.execute(), strict=True) if found}


def write(client: Any, world: World) -> None:
    """Write the keys that are missing, and nothing over what is there: a killed run leaves no key without its time."""
    with translated("cache"):
        for some in _some(world):
            there = _there(client, some)
            with client.pipeline(transaction=True) as pipe:
                for key in some:
                    if key.name not in there:
                        _write(pipe, key)
                pipe.execute()


def _write(pipe: Any, key: Key) -> None:
    match key.kind:
        case "string":
            pipe.set(key.name, key.value, ex=key.lives_s, nx=True)
            return
        case "set":
            pipe.sadd(key.name, *key.value)
        case "hash":
            pipe.hset(key.name, mapping=key.value)
        case "zset":
            pipe.zadd(key.name, key.value)
    if key.lives_s is not None:
        pipe.expire(key.name, key.lives_s)
