"""$orderby: on sortable fields, nulls lowest.

What ties is in the order of internal numbers, on which nobody may rely.
"""

import re

from dbops.sandbox.emulators.search.query.fields import GEO, Schema
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.table import column

_MOST = 32
_CLAUSE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_/]*|search\.score\(\)|geo\.distance\(.*\))(?:\s+(asc|desc))?\s*")
_BEHIND = "\r\nParameter name: $orderby"


def order(schema: Schema, text: str, score: str | None) -> str:
    """Give what follows ORDER BY; `score` is SQL that is small where the score is high, None where all score 1.0."""
    clauses = text.split(",")
    if "geo.distance" in text:
        raise Unsupported("geo.distance in $orderby")
    if len(clauses) > _MOST:
        raise Invalid(
            f"Invalid expression: At most {_MOST} clauses are allowed, and {len(clauses)} were found.{_BEHIND}"
        )
    parts = [_clause(schema, clause, score) for clause in clauses]
    if score is not None and "search.score()" not in text:
        parts.append(score)
    # The last tie follows the first direction, so that one index serves both.
    return ", ".join([*parts, "d.n DESC" if parts[0].endswith(" DESC") else "d.n"])


def _clause(schema: Schema, clause: str, score: str | None) -> str:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise Invalid(f"Invalid expression: Syntax error in '{clause.strip()}'.{_BEHIND}")
    path, direction = match.groups()
    if path == "search.score()":
        ranked = "d.n * 0" if score is None else score
        return ranked if direction == "desc" else f"{ranked} DESC"
    field = schema.by_path.get(path)
    if field is None:
        told = f"Could not find a property named '{path}' on type 'search.document'."
        raise Invalid(f"Invalid expression: {told}{_BEHIND}")
    if field.type == GEO:
        raise Invalid(f"Invalid expression: '{path}' of type '{GEO}' is sorted by geo.distance only.{_BEHIND}")
    if not field.sortable or field.repeated:
        raise Invalid(
            f"Invalid expression: The field '{path}' is not sortable. Only sortable fields can be used in"
            f" $orderby.{_BEHIND}"
        )
    field.must_be_exact()
    return f"d.{column(field)}{' DESC' if direction == 'desc' else ''}"
