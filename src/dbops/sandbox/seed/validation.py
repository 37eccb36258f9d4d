"""validation: rules, scoring models, and results that speak of executions."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.workflow import instances
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

_RULES = (
    ("no-email-addresses", "regex", {"pattern": r"[^@\s]+@[^@\s]+", "must_match": False}, "error"),
    ("not-too-long", "length", {"max": 4000}, "warning"),
    ("not-empty", "length", {"min": 1}, "error"),
    ("polite", "nlp", {"model": "tone", "at_least": 0.6}, "warning"),
    ("names-its-source", "custom", {"function": "has_source"}, "info"),
    ("safe", "composite", {"all": ["no-email-addresses", "polite"]}, "error"),
)
_MODELS = 3


def tables(world: World) -> tuple[Table, ...]:
    return (
        table(
            "validation_rules",
            "id name description rule_type configuration severity weight status created_at updated_at",
            len(_RULES),
            partial(_rules, world),
        ),
        table(
            "scoring_models",
            "id name rules pass_threshold warning_threshold version status created_at",
            _MODELS,
            partial(_models, world),
        ),
        table(
            "validation_results",
            "id source_type source_id content overall_score status rule_results validated_at",
            world.size.validations,
            partial(_results, world),
        ),
    )


def _rules(world: World) -> Rows:
    for n, (name, kind, configuration, severity) in enumerate(_RULES):
        since = world.ago(500)
        told = f"Checks: {name.replace('-', ' ')}."
        yield id_of("rule", n), name, told, kind, configuration, severity, "0.50", "active", since, since


def _models(world: World) -> Rows:
    for n in range(_MODELS):
        rules = [{"rule_id": id_of("rule", k), "weight": 0.5} for k in range(len(_RULES)) if k % _MODELS <= n]
        yield (
            id_of("model", n),
            ("strict", "usual", "lenient")[n],
            rules,
            "0.70",
            "0.50",
            1 + n,
            "active",
            world.ago(500),
        )


def _results(world: World) -> Rows:
    chance = world.chance("validation/results")
    texts = [people.prose(chance, people.topic(n), 2 + n % 4) for n in range(400)]
    count = world.size.validations
    for n in range(count):
        workflow = n % 3 == 2  # every third
        execution = n % (instances(world) if workflow else world.size.prompts)
        score = 40 + n * 7919 % 61
        status = "passed" if score >= 70 else "warning" if score >= 50 else "failed"  # the usual model
        told = [{"rule_id": id_of("rule", k), "passed": (n + k) % 7 != 0, "score": score / 100} for k in range(3)]
        yield (
            *(id_of("validation", n), "workflow_output" if workflow else "agent_response"),
            *(id_of("execution", execution), texts[n % len(texts)], f"{score / 100:.2f}", status, told),
            world.started(execution) + world.took(execution) * 2,
        )
