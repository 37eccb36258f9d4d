"""agent_studio: workspaces, people, agents and tools; the read model of executions; fourteen months of audit."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, line, table
from dbops.sandbox.seed.world import AUDIT_MONTHS, World, fresh, id_of, instant, month_before, months

Rows = Iterator[tuple[Any, ...]]

KINDS = ("sequential", "concurrent", "group_chat", "handoff")
MODELS = (("azure_openai", "gpt-4"), ("openai", "gpt-4o"), ("anthropic", "claude-3-opus"))
ROLES = ("owner", "admin", "member", "member", "viewer")
_TIERS = ("free", "pro", "enterprise", "pro")
_REGIONS = ("us-east-1", "eu-west-1", "eu-central-1")
TOOLS = ("web-search", "code-runner", "file-reader", "sql-query", "mailer", "calendar")
_CATEGORIES = ("web_search", "code_execution", "file_io", "api", "api", "api")
_TOOLS_EACH = 3
_SCENES = 3000
_EVENTS = (
    ("agent.executed", "data_access", "info", "execute"),
    ("agent.executed", "data_access", "info", "execute"),
    ("workflow.executed", "data_access", "info", "execute"),
    ("agent.updated", "configuration", "info", "update"),
    ("agent.created", "configuration", "info", "create"),
    ("permission.denied", "authorization", "warning", "read"),
    ("session.started", "authentication", "info", "login"),
    ("agent.failed", "data_access", "error", "execute"),
)
_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/128.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 Version/17.6 Safari/605.1.15",
    "agent-studio-python/2.4 aiohttp/3.9",
)


def tables(world: World) -> tuple[Table, ...]:
    return (*_members_and_agents(world), *_work(world))


def _members_and_agents(world: World) -> tuple[Table, ...]:
    size = world.size
    tools = len(TOOLS) + _TOOLS_EACH * size.tenants
    return (
        table(
            "users",
            "user_id email display_name azure_ad_oid is_active email_verified created_at updated_at last_login_at"
            " preferences metadata",
            size.users,
            partial(_users, world),
        ),
        table(
            "workspaces",
            "workspace_id name slug description owner_id tier settings data_region retention_days created_at updated_at"
            " metadata",
            size.tenants,
            partial(_workspaces, world),
        ),
        table(
            "workspace_members",
            "workspace_member_id workspace_id user_id role created_at updated_at invited_by",
            size.users + size.users // 10,
            partial(_members, world),
        ),
        table(
            "agents",
            "agent_id workspace_id name description agent_type config_version config_hash model_provider model_name"
            " temperature max_tokens is_published is_active total_executions total_tokens_used avg_latency_ms"
            " last_executed_at created_at updated_at created_by tags metadata",
            size.agents,
            partial(_agents, world),
        ),
        table(
            "tools",
            "tool_id workspace_id name display_name description category mcp_server_url tool_schema requires_approval"
            " allowed_domains is_active is_builtin total_invocations total_errors avg_execution_ms created_at"
            " updated_at created_by",
            tools,
            partial(_tools, world),
        ),
    )


def _work(world: World) -> tuple[Table, ...]:
    """What agents may do, what they did, and the trace of it."""
    size = world.size
    return (
        table(
            "agent_tools",
            "agent_tool_id agent_id tool_id is_enabled config execution_order created_at",
            size.agents * 2,
            partial(_agent_tools, world),
        ),
        table(
            "permissions",
            "permission_id resource_type resource_id principal_type principal_id can_read can_write can_execute"
            " created_at granted_by expires_at",
            size.agents * 2,
            partial(_permissions, world),
        ),
        table(
            "workflows",
            "execution_id workspace_id agent_id status progress metrics created_at updated_at",
            size.executions,
            partial(_workflows, world),
        ),
        Table(
            "audit_logs",
            (
                *("audit_log_id", "created_at", "request_id", "session_id", "workspace_id", "user_id", "ip_address"),
                *("user_agent", "resource_type", "resource_id", "resource_name", "event_type", "event_category"),
                *("severity", "action", "status", "error_message", "before_state", "after_state", "metadata"),
            ),
            size.audit_logs,
            partial(_audit_logs, world),
            months=months(month_before(world.until, AUDIT_MONTHS), world.until),
        ),
    )


def joined(world: World, user: int) -> datetime:
    return world.ago(620 - user * 311 % 500)


def _users(world: World) -> Rows:
    for n in range(world.size.users):
        tenant = world.tenant_of(n)
        since = joined(world, n)
        seen = world.ago(n * 13 % 60 + 0.4)
        preferences = {"theme": ("dark", "light")[n % 2], "language": ("en", "de", "fr", "pt")[n % 4]}
        found = {"department": people.topic(n), "workspace": people.slug(tenant)}
        yield (
            *(id_of("user", n), people.email(n, tenant), people.person(n), id_of("directory", n)),
            *(n % 29 != 28, n % 11 != 10, since, seen, seen, preferences, found),
        )


def _workspaces(world: World) -> Rows:
    for n in range(world.size.tenants):
        since = world.ago(700 - n * 7 % 60)
        settings = {"notifications": n % 3 != 0, "default_model": MODELS[n % 3][1], "max_agents": 50 + n % 5 * 50}
        yield (
            *(id_of("tenant", n), people.company(n), people.slug(n), f"Agents of {people.company(n)}"),
            *(id_of("user", world.user_in(n, 0)), _TIERS[n % 4], settings, _REGIONS[n % 3], 90 + n % 3 * 90),
            *(since, world.ago(n % 30), {"industry": ("retail", "health", "finance")[n % 3]}),
        )


def _members(world: World) -> Rows:
    users, tenants = world.size.users, world.size.tenants
    for n in range(users):
        tenant = world.tenant_of(n)
        role = ROLES[n // tenants % len(ROLES)]
        yield _member(world, n, tenant, role)
    for n in range(users // 10):  # some work for two tenants
        user = n * 10 + n % 10
        yield _member(world, user, world.tenant_of(user + 1), "viewer")


def _member(world: World, user: int, tenant: int, role: str) -> tuple[Any, ...]:
    since = joined(world, user)
    invited = None if role == "owner" else id_of("user", world.user_in(tenant, 0))
    return id_of(f"member/{tenant}", user), id_of("tenant", tenant), id_of("user", user), role, since, since, invited


def agent_totals(world: World) -> tuple[Counter[int], Counter[int], Counter[int], dict[int, int]]:
    """Count what each agent did: executions, tokens, milliseconds, and its latest execution."""
    runs, tokens, spent = Counter[int](), Counter[int](), Counter[int]()
    latest: dict[int, int] = {}
    for n in range(world.size.prompts):
        agent = world.agent_of(n)
        runs[agent] += 1
        tokens[agent] += world.tokens(n)
        spent[agent] += round(world.took(n).total_seconds() * 1000)
        latest.setdefault(agent, n)  # the newest has the lowest number
    return runs, tokens, spent, latest


def _agents(world: World) -> Rows:
    runs, tokens, spent, latest = agent_totals(world)
    for n in range(world.size.agents):
        tenant, about = world.tenant_of(n), people.topic(n)
        provider, model = MODELS[n % 3]
        since = world.ago(500 - n * 97 % 60)
        last = world.started(latest[n]) if n in latest else None
        yield (
            *(id_of("agent", n), id_of("tenant", tenant), people.agent(n), f"Answers questions about {about}."),
            *(KINDS[n % 4], 1 + n % 5, hashlib.sha256(f"agent {n}".encode()).hexdigest(), provider, model),
            *(f"0.{n % 10}0", 2000 + n % 4 * 1000, n % 3 != 0, n % 17 != 16, runs[n], tokens[n]),
            *(f"{spent[n] / runs[n]:.2f}" if runs[n] else None, last, since, last or since),
            *(id_of("user", world.user_in(tenant, n // world.size.tenants)), tuple(about.split())),
            {"owner_team": about, "cost_center": f"CC-{n % 40:03}"},
        )


def _tools(world: World) -> Rows:
    for n in range(len(TOOLS)):
        yield _tool(world, n, None, TOOLS[n])
    for tenant in range(world.size.tenants):
        for k in range(_TOOLS_EACH):
            yield _tool(world, len(TOOLS) + tenant * _TOOLS_EACH + k, tenant, f"{TOOLS[k + 3]}-{people.slug(tenant)}")


def _tool(world: World, n: int, tenant: int | None, name: str) -> tuple[Any, ...]:
    since = world.ago(690 - n % 90)
    kind = n % len(TOOLS) if tenant is None else 3 + (n - len(TOOLS)) % _TOOLS_EACH
    schema = {"type": "object", "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}}}
    by = None if tenant is None else id_of("user", world.user_in(tenant, 0))
    domains = ("example.com", "example.org") if kind == 0 else ()
    return (
        *(id_of("tool", n), None if tenant is None else id_of("tenant", tenant), name),
        *(name.replace("-", " ").title(), f"Lets an agent use {TOOLS[kind]}.", _CATEGORIES[kind]),
        *(f"https://tools.example/{TOOLS[kind]}/mcp", schema, kind == 1, domains, True, tenant is None),
        *(n * 7919 % 50_000, n * 31 % 400, f"{20 + n * 37 % 900}.50", since, since, by),
    )


def _agent_tools(world: World) -> Rows:
    for n in range(world.size.agents):
        since = world.ago(430 - n % 60)
        own = len(TOOLS) + world.tenant_of(n) * _TOOLS_EACH + n // world.size.tenants % _TOOLS_EACH
        for order, tool in enumerate((n % len(TOOLS), own)):
            yield (
                *(id_of(f"agent tool/{order}", n), id_of("agent", n), id_of("tool", tool), n % 13 != 12),
                *({"timeout_s": 10 + n % 5 * 10}, order, since),
            )


def _permissions(world: World) -> Rows:
    for n in range(world.size.agents):
        tenant = world.tenant_of(n)
        for k in range(2):
            who = id_of("user", world.user_in(tenant, n + k + 1)) if k == 0 else id_of("tenant", tenant)
            yield (
                *(id_of(f"permission/{k}", n), "agent", id_of("agent", n), "user" if k == 0 else "workspace", who),
                *(True, k == 0, n % 3 != 0, world.ago(400 - n % 90), id_of("user", world.user_in(tenant, 0))),
                world.ago(-30.0 - n % 300) if n % 5 == 0 else None,
            )


def _workflows(world: World) -> Rows:
    """What the change feed of the container `workflows` leaves here."""
    for n in range(world.size.executions):
        agent, status, began = world.agent_of(n), world.status(n), world.started(n)
        done = status not in ("pending", "running")
        progress = {"currentStep": 4 if done else n % 4, "totalSteps": 4, "percentage": 100 if done else n % 4 * 25}
        metrics = {"tokensUsed": world.tokens(n) if done else 0, "startedAt": instant(began)}
        ended = began + world.took(n) if done else began + timedelta(seconds=1)
        yield (
            *(id_of("execution", n), id_of("tenant", world.tenant_of(agent)), id_of("agent", agent)),
            *(status, progress, metrics, began, ended),
        )


def _audit_logs(world: World) -> Iterator[str]:
    """Fourteen months of rows. Who did what to what comes from prepared scenes: a row costs a microsecond."""
    chance = world.chance("agent_studio/audit_logs")
    count = world.size.audit_logs
    scenes = [_scene(world, n) for n in range(min(_SCENES, count))]
    stamps = world.stamps(chance, count, AUDIT_MONTHS)
    ids, requests, sessions = fresh(chance, count), fresh(chance, count), _sessions(world)
    for number, (key, at, request) in enumerate(zip(ids, stamps, requests, strict=True)):
        scene = scenes[chance.randrange(len(scenes))] if number % 4 else scenes[number % len(scenes)]
        yield f"{key}\t{at}\t{request}\t{sessions[number % len(sessions)]}\t{scene}"


def _sessions(world: World) -> list[str]:
    return [id_of("session", n) for n in range(min(1000, world.sessions))]


def _scene(world: World, n: int) -> str:
    event, category, severity, action = _EVENTS[n % len(_EVENTS)]
    agent = n * 11 % world.size.agents
    tenant = world.tenant_of(agent)
    user = world.user_in(tenant, n // 3)
    failed = severity in ("warning", "error")
    changed = action in ("update", "create")
    before = {"config_version": n % 5, "temperature": n % 10 / 10} if action == "update" else None
    after = {"config_version": n % 5 + 1, "temperature": (n + 3) % 10 / 10, "model": MODELS[n % 3][1]}
    return line(
        (
            *(id_of("tenant", tenant), id_of("user", user), f"10.{n % 250}.{n // 250 % 250}.{n % 199 + 1}"),
            *(_BROWSERS[n % 3], "agent", id_of("agent", agent), people.agent(agent), event, category, severity, action),
            "failure" if failed else "success",
            "the policy of the workspace does not allow it" if severity == "warning" else "timeout" if failed else None,
            *(before, after if changed else None),
            {"source": ("api", "portal", "schedule")[n % 3], "region": _REGIONS[n % 3], "attempt": n % 3 + 1},
        )
    )
