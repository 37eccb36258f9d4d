"""notification: templates, preferences of everybody, and what was sent to whom."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

_CHANNELS = ("email", "in_app", "webhook", "sms")
_TEMPLATES = (
    ("workflow-completed", "in_app", "{{ workflow }} is done", "{{ agent }} finished {{ workflow }}."),
    ("workflow-failed", "email", "{{ workflow }} failed", "{{ agent }} could not finish {{ workflow }}: {{ error }}."),
    ("budget-alert", "email", "Budget of {{ tenant }}", "{{ percent }} of the budget of {{ tenant }} is spent."),
    ("access-granted", "sms", None, "You can now use {{ resource }}."),
    ("digest", "webhook", None, '{"items": {{ items }} }'),
)
_STATUS = ("delivered", "delivered", "delivered", "sent", "delivered", "failed", "delivered", "bounced")


def tables(world: World) -> tuple[Table, ...]:
    size = world.size
    return (
        table(
            "notification_templates",
            "id name channel subject body variables created_at updated_at",
            len(_TEMPLATES),
            partial(_templates, world),
        ),
        table(
            "notification_preferences",
            "id user_id channel enabled frequency created_at updated_at",
            size.users * 2,
            partial(_preferences, world),
        ),
        table(
            "notifications",
            "id recipient_id template_id channel priority status subject body metadata scheduled_at sent_at"
            " delivered_at read_at error_message retry_count created_at",
            size.notifications,
            partial(_notifications, world),
        ),
    )


def _templates(world: World) -> Rows:
    for n, (name, channel, subject, body) in enumerate(_TEMPLATES):
        variables = sorted({part.split("}}")[0].strip() for part in f"{subject or ''}{body}".split("{{")[1:]})
        yield id_of("template", n), name, channel, subject, body, variables, world.ago(600), world.ago(100)


def _preferences(world: World) -> Rows:
    for n in range(world.size.users * 2):
        user, channel = n // 2, _CHANNELS[n % 2]
        frequency = ("immediate", "daily", "immediate", "hourly", "off")[n % 5]
        since = world.ago(300 - user % 90)
        yield id_of("preference", n), id_of("user", user), channel, frequency != "off", frequency, since, since


def _notifications(world: World) -> Rows:
    """Each speaks of an execution, to the person who started it."""
    for n in range(world.size.notifications):
        execution = n % world.size.prompts
        agent, kind = world.agent_of(execution), n % len(_TEMPLATES)
        status = _STATUS[n % len(_STATUS)]
        at = world.started(execution) + world.took(execution)
        name, channel, subject, _ = _TEMPLATES[kind]
        arrived = status == "delivered"
        yield (
            *(id_of("notification", n), id_of("user", world.user_of(execution)), id_of("template", kind), channel),
            *(("normal", "normal", "high", "low")[n % 4], status),
            None if subject is None else f"{people.topic(agent)}: {name}",
            f"{people.agent(agent)} worked on {people.topic(agent)} for {people.company(world.tenant_of(agent))}.",
            {"execution_id": id_of("execution", execution), "workspace_id": id_of("tenant", world.tenant_of(agent))},
            *(at, at + timedelta(seconds=2), at + timedelta(seconds=5) if arrived else None),
            *(at + timedelta(minutes=n % 90 + 1) if arrived and n % 3 else None,),
            *("the address does not exist" if status == "bounced" else None, 3 if status == "failed" else 0, at),
        )
