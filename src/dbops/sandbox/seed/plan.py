"""From what is found to what is left to fill."""

from collections.abc import Iterator
from dataclasses import dataclass

from dbops.engine.plan import Plan, Statement, Step
from dbops.sandbox.seed.facts import Facts


@dataclass(frozen=True, slots=True)
class Partition:
    """Make the partitions of a table that its rows need, of whole months."""

    table: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Create:
    """Make a container or an index as the platform's documents define it."""

    name: str


@dataclass(frozen=True, slots=True)
class Fill:
    name: str


@dataclass(frozen=True, slots=True)
class Warm:
    """Write the keys of the cache that are missing."""


Action = Partition | Create | Fill | Warm


def refusals(facts: Facts, seed: str) -> Iterator[tuple[str, str]]:
    """Tell what of the target is not the seed's own, each with what to do about it."""
    for part in facts.parts:
        known = part.filled or part.begun
        if not part.holds:
            continue
        if known is None:
            yield (
                f"{part.name} holds something already, and no seed has put it there",
                "seed a fresh sandbox: its rows would be mixed with yours",
            )
        elif known != seed:
            yield (
                f"{part.name} holds another seed: {known}",
                "begin anew: dbops sandbox down --purge, sandbox up, migrate up, sandbox seed",
            )


def fill(facts: Facts, seed: str) -> Plan[Action]:
    """Plan what is missing: what was filled to its end is left alone, what was only begun is done again."""
    steps: list[Step[Action]] = []
    for part in facts.parts:
        if not part.exists:
            steps.append(Step(f"create {part.name}", f"create {part.name}", Create(part.name)))
        if part.filled == seed and (part.holds or not part.rows):
            continue
        if statements := facts.partitions.get(part.name, ()):
            summary = f"make the monthly partitions of {part.name} that are missing"
            steps.append(
                Step(f"partition {part.name}", summary, Partition(part.name, statements), statements=statements)
            )
        if part.rows:
            steps.append(Step(f"fill {part.name}", f"fill {part.name}: {part.rows:,} {facts.things}", Fill(part.name)))
    return Plan(facts.target, f"seed {facts.target}, {seed}", tuple(steps))


def warm(facts: Facts, seed: str) -> Plan[Action]:
    """Plan the keys that expired or were never there; a cache is never full for long."""
    steps: list[Step[Action]] = [
        Step("warm", f"write {part.missing:,} of {part.rows:,} {facts.things}", Warm())
        for part in facts.parts
        if part.missing
    ]
    return Plan(facts.target, f"seed {facts.target}, {seed}", tuple(steps))
