"""What a code means, and what to do."""

from dataclasses import dataclass

from dbops.engine.finding import Severity
from dbops.operations.migrate.forecast.codes import CODES
from dbops.operations.migrate.lint.check import ALLOWANCE, RULES

RANGES = f"{min(CODES)} to {max(CODES)}, {RULES[0].code} to {ALLOWANCE}"

_RECIPES = {
    "DBM201": "id UUID PRIMARY KEY DEFAULT gen_random_uuid(): made anywhere, it means one row in every store",
    "DBM202": "CREATE INDEX CONCURRENTLY on the columns of the key, in its order; else each delete of a parent scans",
    "DBM203": "created_at TIMESTAMPTZ NOT NULL DEFAULT now(): a constant for old rows, so nothing is rewritten",
    "DBM204": "updated_at TIMESTAMPTZ, kept by a trigger",
    "DBM205": "objects.enable_row_security(...) and objects.create_policy(...), forced, so that the owner is bound too",
    "DBM206": "NULLIF(current_setting('app.x', true), '')::uuid: a setting that is not there shows no rows",
    "DBM207": "SET search_path = pg_catalog, public on the function: no caller can put tables of his own in front",
    "DBM208": "sa.TIMESTAMP(timezone=True); for a column that is there: SET LOCAL timezone, see DBM113",
    "DBM209": "choose a name of at most 63 bytes; PostgreSQL cuts the rest in silence",
    "DBM210": 'create_table(..., comment="what its rows are")',
    "DBM211": "write it as SQL that decides by itself (DO, IF NOT EXISTS), or use attic.*",
    "DBM212": "YYYY_MM_DD_HHMM_description.py, and the revision is the instant",
    "DBM213": "do what is left to do, or take the note out",
    ALLOWANCE: "each allowance names a rule, an object that breaks it and a reason; take out what covers nothing",
}


@dataclass(frozen=True, slots=True)
class Told:
    code: str
    severity: Severity
    says: str
    recipe: str
    squawk: tuple[str, ...] = ()


def code(wanted: str) -> Told | None:
    """Explain a code; an unknown one is None."""
    if (hazard := CODES.get(wanted)) is not None:
        return Told(hazard.code, hazard.severity, hazard.says, hazard.recipe, hazard.squawk)
    if wanted == ALLOWANCE:
        return Told(wanted, Severity.WARNING, "lint.toml allows what is not there, or says no reason", _RECIPES[wanted])
    for rule in RULES:
        if rule.code == wanted:
            return Told(rule.code, rule.severity, rule.says, _RECIPES[rule.code])
    return None
