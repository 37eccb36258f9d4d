"""`dbops config`: a template, its validation, the resolved view, a JSON Schema."""

import json
from dataclasses import dataclass

from dbops.cli.door import Result, command, family
from dbops.cli.options import Asked
from dbops.cli.screen import Cell, Column, Line, Table, Tone, Verbatim
from dbops.config import references, template
from dbops.config.model import Config
from dbops.engine.finding import Finding, Severity
from dbops.errors import ExitCode

app = family("config")


@command(app, "init", "dbops config init > dbops.toml")
def init(_asked: Asked) -> Result:
    """Print a commented dbops.toml to start from."""
    return Result({"template": template.TEXT}, (Verbatim(template.TEXT),), next_actions=("dbops config check",))


@command(app, "schema", "dbops config schema > dbops.schema.json")
def schema(_asked: Asked) -> Result:
    """Print the JSON Schema of dbops.toml, for editors."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return Result(described, (Verbatim(json.dumps(described, indent=2) + "\n"),))


@dataclass(frozen=True, slots=True)
class Checked:
    path: str
    platform: str
    environment: str
    references: tuple[references.Tried, ...]


@command(app, "check", "dbops config check", "dbops config check --config production.toml --output json")
def check(asked: Asked) -> Result:
    """Validate the configuration and try every secret that it refers to."""
    loaded = asked.load()
    tried = tuple(references.tried(loaded.config))
    platform = loaded.config.platform
    rows = tuple(
        (Cell(one.target), Cell(one.key), Cell(one.reference), Cell(one.state, _TONES[one.state])) for one in tried
    )
    wrong = [one for one in tried if one.error]
    closing = f"{loaded.path} is valid" + (f", but {len(wrong)} references do not resolve" if wrong else "")
    table = Table((Column("target"), Column("key"), Column("reference", shrinks=True), Column("state")), rows)
    return Result(
        Checked(str(loaded.path), platform.name, platform.environment, tried),
        (*((table,) if rows else ()), Line(closing, Tone.BAD if wrong else Tone.GOOD)),
        findings=tuple(Finding(Severity.WARNING, "config-secret", o.target, o.error or "", o.hint) for o in wrong),
        codes=(ExitCode.CONFIG,) if wrong else (),
    )


_TONES = {"ok": Tone.GOOD, "missing": Tone.BAD, "will be generated": Tone.FAINT}


@command(app, "show", "dbops config show", "dbops config show --output json")
def show(asked: Asked) -> Result:
    """Print the configuration with every default filled in; secrets stay references."""
    loaded = asked.load()
    whole = loaded.config.model_dump(mode="json", by_alias=True)
    whole["platform"]["state_dir"] = str(loaded.state_dir)
    return Result(
        {"path": str(loaded.path), "config": whole},
        (Line(f"# {loaded.path}", Tone.FAINT), Verbatim(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")),
    )
