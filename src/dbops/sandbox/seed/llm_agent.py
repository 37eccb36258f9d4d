"""llm_agent: the agents of agent_studio as the service of that name knows them, and every prompt they answered."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.agent_studio import MODELS
from dbops.sandbox.seed.lines import Table, table, written
from dbops.sandbox.seed.world import World, fresh, id_of, instant, stamp

Rows = Iterator[tuple[Any, ...]]

_TEXTS = 400
_STATUS = {"cancelled": "failed"}  # this service knows no cancelling


def tables(world: World) -> tuple[Table, ...]:
    size = world.size
    return (
        table(
            "agents",
            "id name model provider system_prompt configuration status created_at updated_at created_by",
            size.agents,
            partial(_agents, world),
        ),
        Table(
            "executions",
            (
                *("id", "agent_id", "executed_at", "status", "completed_at", "tokens_used", "latency_ms"),
                *("error_message", "prompt", "response"),
            ),
            size.prompts,
            partial(_executions, world),
        ),
        table(
            "contexts",
            "id agent_id messages window_size created_at updated_at",
            size.agents,
            partial(_contexts, world),
        ),
        Table(
            "token_usage",
            (
                *("id", "agent_id", "execution_id", "tokens_prompt", "tokens_completion", "tokens_total", "cost_usd"),
                "recorded_at",
            ),
            size.prompts,
            partial(_tokens, world),
        ),
    )


def _agents(world: World) -> Rows:
    for n in range(world.size.agents):
        provider, model = MODELS[n % 3]
        since = world.ago(500 - n * 97 % 60)
        by = id_of("user", world.user_in(world.tenant_of(n), n // world.size.tenants))
        status = "archived" if n % 17 == 16 else "active"
        yield (
            *(id_of("agent", n), people.agent(n), model, provider),
            *(f"You answer questions about {people.topic(n)}. Say so when you do not know.",),
            *({"temperature": n % 10 / 10, "max_tokens": 2000 + n % 4 * 1000}, status, since, since, by),
        )


def _texts(world: World) -> list[tuple[str, str]]:
    chance = world.chance("llm_agent/texts")
    return [
        (
            written(people.prose(chance, people.topic(n), 2) + " What do we do?"),
            written(people.prose(chance, people.topic(n), 3 + n % 6)),
        )
        for n in range(_TEXTS)
    ]


def _executions(world: World) -> Iterator[str]:
    texts = _texts(world)
    agents = [id_of("agent", n) for n in range(world.size.agents)]
    for n in range(world.size.prompts):
        agent, began, took = world.agent_of(n), world.started(n), world.took(n)
        status = world.status(n)
        status = _STATUS.get(status, status)
        prompt, response = texts[(agent + n * len(people.TOPICS)) % _TEXTS]  # about what the agent knows
        done = status == "completed"
        ended = stamp(began + took) if status in ("completed", "failed") else r"\N"
        yield (
            f"{id_of('execution', n)}\t{agents[agent]}\t{stamp(began)}\t{status}\t{ended}\t"
            f"{world.tokens(n) if done else 0}\t{round(took.total_seconds() * 1000)}\t"
            f"{'the model did not answer in time' if status == 'failed' else chr(92) + 'N'}\t"
            f"{prompt}\t{response if done else chr(92) + 'N'}"
        )


def _contexts(world: World) -> Rows:
    texts = _texts(world)
    for n in range(world.size.agents):
        at = world.ago(n % 30 + 0.2)
        messages = [
            {"role": ("user", "assistant")[k % 2], "content": texts[(n + k) % _TEXTS][k % 2], "timestamp": instant(at)}
            for k in range(4)
        ]
        yield id_of("context", n), id_of("agent", n), messages, 10, world.ago(90 + n % 60), at


def _tokens(world: World) -> Iterator[str]:
    ids = fresh(world.chance("llm_agent/token_usage"), world.size.prompts)
    agents = [id_of("agent", n) for n in range(world.size.agents)]
    for n, key in enumerate(ids):
        tokens = world.tokens(n)
        asked = tokens * 2 // 5
        yield (
            f"{key}\t{agents[world.agent_of(n)]}\t{id_of('execution', n)}\t{asked}\t{tokens - asked}\t{tokens}\t"
            f"{tokens * 0.00003:.6f}\t{stamp(world.started(n) + world.took(n))}"
        )
