"""What a seed is, and what is found of it in each store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from dbops.engine.plan import Statement

UNTIL = date(2026, 11, 1)  # fixed, so that every machine gets the same rows whenever it is seeded


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. Users, agents and resources are multiples of the tenants."""

    name: str
    tenants: int
    users: int
    agents: int
    resources: int
    executions: int  # those of the last weeks: they still are documents too
    prompts: int  # all of the last 14 months
    memories: int
    passages: int
    audit_logs: int
    audit_events: int
    metered: int  # resources with a cost every day
    evaluations: int
    notifications: int
    files: int
    validations: int
    assets: int


SMALL = Size(
    name="small",
    tenants=8,
    users=96,
    agents=64,
    resources=96,
    executions=240,
    prompts=900,
    memories=240,
    passages=96,
    audit_logs=4_000,
    audit_events=4_000,
    metered=8,
    evaluations=1_200,
    notifications=600,
    files=240,
    validations=400,
    assets=320,
)
MEDIUM = Size(
    name="medium",
    tenants=40,
    users=1_200,
    agents=800,
    resources=2_000,
    executions=4_000,
    prompts=60_000,
    memories=2_000,
    passages=600,
    audit_logs=420_000,
    audit_events=380_000,
    metered=520,
    evaluations=120_000,
    notifications=60_000,
    files=20_000,
    validations=40_000,
    assets=16_000,
)
SIZES = {size.name: size for size in (SMALL, MEDIUM)}


def label(size: str, until: date) -> str:
    """Name a seed: what a marker says, so that two seeds are never mixed."""
    return f"{size} until {until}"


@dataclass(frozen=True, slots=True)
class Part:
    """One table, container, index or keyspace that the seed fills, as it is found."""

    name: str
    rows: int  # of the seed
    exists: bool = True
    holds: bool = False  # anything at all
    begun: str | None = None  # the seed whose filling was begun, where that is not one transaction
    filled: str | None = None  # the seed that filled it
    missing: int = 0  # keys of a cache that expired or were never there


@dataclass(frozen=True, slots=True)
class Facts:
    """What is found of the seed in one target."""

    target: str
    things: str  # rows, documents, entries, keys
    parts: tuple[Part, ...]
    partitions: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict[str, tuple[Statement, ...]])
