"""`dbops status`: every target on one screen."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops import units
from dbops.cli.door import Result, command, family
from dbops.cli.options import Asked
from dbops.cli.screen import Cell, Column, Line, Table, Tone
from dbops.engine import clock
from dbops.errors import ConfigInvalid, UsageError

if TYPE_CHECKING:
    from dbops.across.status import Status

app = family("status")

_COLUMNS = (
    Column("target"),
    Column("store"),
    Column("state"),
    Column("answer", right=True),
    Column("version"),
    Column("what it says", shrinks=True),
)


@dataclass(frozen=True, slots=True)
class Overview:
    platform: str
    environment: str
    targets: "tuple[Status, ...]"


@command(app, "status", "dbops status", "dbops status --deadline 2s --output json")
def status(
    asked: Asked,
    deadline: Annotated[str, typer.Option(metavar="TIME", help="How long one target may take.")] = "5s",
) -> Result:
    """Show every target on one screen: reachable, version, backups, what needs attention."""
    from dbops.across import status as across

    loaded = asked.load()
    config = loaded.config
    if not (config.cluster or config.postgres or config.redis or config.cosmos or config.search or config.vault):
        raise ConfigInvalid(f"{loaded.path} names no target", hint="add a [cluster.NAME], [cosmos.NAME] or [vault]")
    statuses = across.observe(config, asked.run(loaded.state_dir), deadline=_span(deadline), now=clock.now())
    for one in statuses:
        asked.invocation.watch.ended(one.target, across.exit_code(one), one.latency)
    platform = config.platform
    bad = sum(one.state != "ok" for one in statuses)
    closing = f"{platform.name} ({platform.environment}): {len(statuses) - bad} of {len(statuses)} targets answer"
    return Result(
        Overview(platform.name, platform.environment, statuses),
        (Table(_COLUMNS, tuple(_row(one) for one in statuses)), Line(closing, Tone.BAD if bad else Tone.GOOD)),
        findings=tuple(finding for one in statuses for finding in one.findings),
        measures=across.measures(config, statuses),
        codes=tuple(one.code for one in statuses),
    )


def _span(text: str) -> timedelta:
    try:
        span = units.parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--deadline: {error}") from None
    if not span:
        raise UsageError("--deadline: no target answers in no time")
    return span


def _row(one: "Status") -> tuple[Cell, ...]:
    good = one.state == "ok"
    told = "; ".join(_told(one.facts)) if good else one.findings[0].message
    tone = Tone.BAD if not good else Tone.WARN if one.findings else Tone.GOOD
    answer = units.duration(one.latency) if one.latency is not None else "-"
    return (Cell(one.target), Cell(one.store), Cell(one.state, tone), Cell(answer), Cell(one.version), Cell(told))


def _told(facts: dict[str, Any]) -> list[str]:
    """Say in few words what a target is."""
    told: list[str] = []
    if "role" in facts:
        told.append(facts["role"])
    if "max_connections" in facts:
        told.append(f"{facts['connections']}/{facts['max_connections']} connections")
    if "backup" in facts:
        age = facts["backup_age"]
        told.append("no backup" if age is None else f"backup {units.duration(age)} ago")
    if "size_bytes" in facts:
        told.append(units.size(facts["size_bytes"]))
        told.append(f"schema {facts['schema_head']}" if facts["schema_head"] else "no schema yet")
    if "memory_bytes" in facts:
        told += [units.size(facts["memory_bytes"]), f"{facts['keys']} keys"]
    told += _of_azure(facts)
    if "artifacts" in facts:
        told += _of_vault(facts)
    return told


def _of_azure(facts: dict[str, Any]) -> list[str]:
    told: list[str] = []
    if "consistency" in facts:
        told += [facts["consistency"], units.counted(len(facts["read_regions"]), "region")]
        told += [units.counted(facts["containers"], "container"), f"{facts['charge']:g} RU"]
    if facts.get("key") == "query":
        told.append("query key")
    for name in ("documents", "indexes"):
        if facts.get(name) is not None:
            quota = facts[f"{name}_quota"]
            told.append(f"{facts[name]}{f'/{quota}' if quota else ''} {name}")
    if facts.get("storage_bytes") is not None:
        quota = facts["storage_quota_bytes"]
        told.append(f"{units.size(facts['storage_bytes'])}{f' of {units.size(quota)}' if quota else ''}")
    return told


def _of_vault(facts: dict[str, Any]) -> list[str]:
    told = [units.counted(facts["artifacts"], "artifact"), units.size(facts["stored_bytes"])]
    if facts["newest_age"] is not None:
        told.append(f"newest {units.duration(facts['newest_age'])} ago")
    for copy in facts["copies"]:
        lacks = f", lacks {copy['lacking']}" if copy.get("lacking") else ""
        told.append(f"copy {copy['copy']} {copy['state']}{lacks}")
    return told
