"""What the phase of a revision promises, and whether its statements keep it."""

import ast
import re
from collections.abc import Iterator, Sequence

from dbops.operations.migrate.forecast.codes import CODES
from dbops.operations.migrate.forecast.facts import Hazard, Seen
from dbops.operations.migrate.forecast.text import head, made_anew, plain, short
from dbops.operations.migrate.parsing import parsed

CONTRACT, ROLLBACK, REMOVE = "contract", "rollback", "remove"

_GATE = re.compile(r"\bdbops\b[\s\S]*gate|gate[\s\S]*\bdbops\b", re.IGNORECASE)
_DESTROYS = re.compile(
    r"DROP\s+(TABLE|SCHEMA|TYPE|DOMAIN|SEQUENCE|EXTENSION|DATABASE)\b"
    r"|DROP\s+(VIEW|MATERIALIZED\s+VIEW|FUNCTION|PROCEDURE)\s+(IF\s+EXISTS\s+)?(?P<name>[\w.\"]+)"
    r"|ALTER\s+TYPE\s+\S+\s+RENAME\b|ALTER\s+SCHEMA\s+\S+\s+RENAME\b",
    re.IGNORECASE,
)
_CHANGES = {
    "column dropped": "drops {0}.{1}",
    "column renamed": "renames {0}.{1}",
    "renamed": "renames {0}",
    "type changed": "changes the type of {0}.{1}",
    "dropped": "drops {0}",
}


def attribute(source: str, name: str) -> str | None:
    """Read a module attribute of a revision, such as `phase = "expand"`, without importing it."""
    for node in parsed(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Constant(value=str(value))) if found == name:
                return value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.Constant(value=str(value))) if found == name:
                return value
            case _:
                pass
    return None


def hazards(revision: str, phase: str | None, seen: Sequence[Seen]) -> Iterator[Hazard]:
    """Judge the statements of one revision."""
    match phase:
        case None | "rollback" | "remove":
            return
        case "expand":
            for number, one in enumerate(seen):
                later = [other.text for other in seen[number + 1 :]]
                yield from (_hazard("DBM150", one, told) for told in dict.fromkeys(_destroys(one, later)))
        case "contract":
            if not any(_GATE.search(one.text) for one in seen):
                yield _whole("DBM151", revision, CODES["DBM151"].says)
        case _:
            yield _whole("DBM152", revision, f"phase {phase!r} is none that there is")


def _destroys(one: Seen, later: Sequence[str]) -> Iterator[str]:
    for change in one.changes:
        told = _CHANGES.get(change.what)
        unseen = change.what == "renamed" and change.about & {"i", "I", "S"}
        anew = change.what == "dropped" and change.about & {"v", "m"} and made_anew(change.table, later)
        if told is not None and not unseen and not anew:
            yield told.format(change.table, change.name)
    if head(one.text) in {"DELETE", "TRUNCATE"}:
        yield "removes rows"
    match = _DESTROYS.match(plain(one.text))
    if match and not any(change.what == "dropped" for change in one.changes):
        name = match["name"]
        if name is None or not made_anew(name, later):
            yield " ".join(match[0].lower().split())


def _hazard(code: str, one: Seen, told: str) -> Hazard:
    rule = CODES[code]
    message = f"{one.revision} statement {one.number}, {short(one.text)}: {told}, and phase is 'expand'"
    return Hazard(code, rule.severity, one.revision, one.number, "", message, rule.recipe)


def _whole(code: str, revision: str, told: str) -> Hazard:
    rule = CODES[code]
    return Hazard(code, rule.severity, revision, 0, "", f"{revision}: {told}", rule.recipe)
