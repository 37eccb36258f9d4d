"""What the text of an expression over the row `r` tells: its columns, what it depends on, how it compares. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from dbops.operations.migrate.shapes.shape import KEY, ROWS

PATH = "pg_catalog, public, pg_temp"  # as revisions have it: expressions are resolved so, whoever writes
# What text becomes a date by, and a moment a text: the same for every client, for the backfill and the comparison.
SETTINGS: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}

_TEXT = r"""\be'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$"""
_QUOTED = r'"(?:[^"]|"")*"'
_NAME = rf"(?:\w+|{_QUOTED})"
_FLAGS = re.DOTALL | re.IGNORECASE
_PLACE = re.compile(rf"{_TEXT}|{_QUOTED}|{re.escape(ROWS)}|{re.escape(KEY)}", _FLAGS)
_TOKEN = re.compile(rf"""{_TEXT}|{_QUOTED}|(?<![\w.$"])r\.""", _FLAGS)
_COLUMN = re.compile(rf"""{_TEXT}|(?<![\w.$"])r\s*\.\s*({_NAME})|{_QUOTED}""", _FLAGS)
_WHOLE_ROW = re.compile(r"""(?<![\w.$"])r(?![\w$]|\s*[.(])|(?<![\w.$"])r\s*\.\s*\*""", re.IGNORECASE)
_ANOTHER_EACH_TIME = re.compile(
    r"""(?<![\w."$])(?:(?:now|random|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|nextval|currval
    |lastval|gen_random_uuid|uuid_generate_v\w+|txid_current|pg_current_xact_id|pg_backend_pid|current_setting
    |inet_client_addr)\s*\(|(?:current_date|current_time|current_timestamp|localtime|localtimestamp|current_user
    |current_role|session_user|user)(?![\w"$]|\s*[.(]))""",
    re.IGNORECASE | re.VERBOSE,
)
# What resolves to the same under any search_path: columns, literals, casts to types of pg_catalog, and what is syntax.
_TYPE = (
    r"(?:int[248]?|integer|smallint|bigint|text|varchar|char|character|numeric|decimal|real|float[48]|double|bool"
    r"|boolean|date|time|timetz|timestamp|timestamptz|interval|uuid|jsonb?|bytea|inet|cidr)\b"
)
_OF_SERVER = re.compile(rf"\s*{_TYPE}[^\"]*", re.IGNORECASE)
_PLAIN = re.compile(
    rf"""'(?:[^']|'')*'|\br\.{_NAME}|::\s*(?:{_NAME}\.{_NAME}|{_TYPE})|[\s()\[\],.\d]|\bcase\s+when\b"""
    r"|\b(?:coalesce|when|then|else|end|is|not|null|and|or|true|false|double|precision|varying|with|without|time|zone)"
    r"\b",
    re.IGNORECASE,
)
_BARE = re.compile(rf"""\s*\(?\s*r\.({_NAME})\s*\)?\s*""", re.IGNORECASE)
_LAST_CAST = re.compile(r""".*::\s*([a-z]+(?:\s*\[\s*\d*\s*\])*)[\s)]*""", _FLAGS)
# Types without `=`, or whose `=` asks for something else, such as the area.
_BY_TEXT = re.compile(r"\s*(?:json|xml|point|box|circle|path|polygon|line)(?:\s*\[\s*\d*\s*\])*\s*", re.IGNORECASE)


def as_new(expression: str) -> str:
    """Write an expression over `r` as the condition of a trigger needs it."""
    return _TOKEN.sub(lambda match: "NEW." if match[0] in ("r.", "R.") else match[0], expression)


def placed(text: str, *, rows: str, key: str = "") -> str:
    """Fill in which rows are meant, and their key; what stands in a text of the author is no place for either."""
    places = {ROWS: rows, KEY: key}
    return _PLACE.sub(lambda match: places.get(match[0], match[0]), text)


def bare(expression: str) -> str | None:
    """Name the column that an expression is, as the catalog has it."""
    found = _BARE.fullmatch(expression)
    return None if found is None else _plain(found[1])


def is_bare(expression: str) -> bool:
    """Say whether it is a column, and nothing else."""
    return _BARE.fullmatch(expression) is not None


def columns_of(expressions: Iterable[str]) -> set[str]:
    """Name the columns that expressions read, as the catalog has them."""
    found = (match[2] for expression in expressions for match in _COLUMN.finditer(expression))
    return {_plain(name) for name in found if name is not None}


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def refuse_the_unsteady(expressions: Iterable[str]) -> None:
    """Refuse what says another thing each time, and a row as a whole: nobody could tell when it has changed."""
    for expression in expressions:
        told = re.sub(rf"{_TEXT}|{_QUOTED}", "''", expression, flags=_FLAGS)
        if (found := _ANOTHER_EACH_TIME.search(told)) is not None:
            raise ValueError(f"an expression may not ask for {found[0].strip('( ')}: {expression}")
        if _WHOLE_ROW.search(told) is not None:
            raise ValueError(f"an expression has to name the columns of r that it reads: {expression}")


def fixed_path(expressions: Sequence[str], compared: Sequence[str] = ()) -> str:
    """Fix the search path of a function, which costs as much as the function, where its expressions depend on it.

    `compared` are types of which it compares values: those of an extension have operators of their own.
    """
    plain = all(_PLAIN.sub("", one) == "" for one in expressions) and all(map(_OF_SERVER.fullmatch, compared))
    return "" if plain else f" SET search_path = {PATH}"


def by_text(type_: str | None) -> str:
    """Write how values of a type have to be compared: as they are, or by their texts."""
    return "::text" if type_ is not None and _BY_TEXT.fullmatch(type_) else ""


def type_of(expression: str, types: Mapping[str, str]) -> str | None:
    """Tell the type of what an expression yields, as far as its text tells it."""
    if (bare := _BARE.fullmatch(expression)) is not None:
        return types.get(_plain(bare[1]))
    cast = _LAST_CAST.fullmatch(expression)
    return None if cast is None else cast[1]
