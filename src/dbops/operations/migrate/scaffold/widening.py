"""Which types hold every value of another: an expression needs no cast then, and nothing of it can fail. Pure."""

from collections.abc import Mapping

_WIDER: Mapping[str, frozenset[str]] = {
    "smallint": frozenset({"integer", "bigint", "numeric", "real", "double precision"}),
    "integer": frozenset({"bigint", "numeric", "double precision"}),
    "bigint": frozenset({"numeric"}),
    "real": frozenset({"double precision"}),
    "character varying": frozenset({"text", "character varying"}),
}
_ALSO: Mapping[str, str] = {
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "decimal": "numeric",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "varchar": "character varying",
}


def holds_all(wider: str, of: str) -> bool:
    """Say whether a type, as a person writes it, holds each value of another, as the catalog writes it."""
    named = " ".join(wider.lower().split())
    return _ALSO.get(named, named) in _WIDER.get(of.partition("(")[0], frozenset())
