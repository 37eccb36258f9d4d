"""What a revision makes and takes, read from the SQL that it emits.

Only the first words of each statement are read: enough to know which objects must be there once it is stamped, and
must not be there before.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

_WORD = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
_NAME = rf"(?:({_WORD})\.)?({_WORD})"
_PATTERNS = tuple(
    (verb, kind, re.compile(rf"{verb}\s+{words}\s+(?:IF (?:NOT )?EXISTS\s+)?{rest}", re.IGNORECASE))
    for verb in ("CREATE", "DROP")
    for kind, words, rest in (
        ("table", "TABLE", _NAME),
        ("index", r"(?:UNIQUE\s+)?INDEX(?:\s+CONCURRENTLY)?", rf"{_NAME}(?:\s+ON\s+(?:ONLY\s+)?(?:({_WORD})\.)?)?"),
        ("view", r"(?:OR REPLACE\s+)?VIEW", _NAME),
        ("materialized view", r"MATERIALIZED\s+VIEW", _NAME),
        ("enum", "TYPE", _NAME),
        ("function", r"(?:OR REPLACE\s+)?FUNCTION", _NAME),
        ("trigger", "TRIGGER", rf"{_NAME}[\s\S]*?\bON\s+{_NAME}"),
        ("policy", "POLICY", rf"{_NAME}\s+ON\s+{_NAME}"),
    )
)
_TOUCHES = re.compile(
    r"\b(?:ALTER TABLE|REFERENCES|(?:INDEX|TRIGGER|POLICY)\b[^;]*?\bON|DROP TABLE)\s+"
    rf"(?:IF EXISTS\s+)?(?:ONLY\s+)?{_NAME}",
    re.IGNORECASE,
)
_TABLE = re.compile(rf"\s*{_NAME}\s*")
_INDEX_ON = re.compile(rf"CREATE\s+(?:UNIQUE\s+)?INDEX\b[^(]*?\sON\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE)
ASKED = "\\gexec\n/**/"  # behind a query that yields statements; the comment is for the semicolon that follows
_ROLE = re.compile(r"CREATE ROLE (\w+)", re.IGNORECASE)
_EXTENSION = re.compile(r'CREATE EXTENSION\s+(?:IF NOT EXISTS\s+)?"?([\w-]+)"?', re.IGNORECASE)
_BOOKKEEPING = re.compile(
    r"\s*(BEGIN|COMMIT|(INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|DROP TABLE) alembic_version)\b"
)


def made(statements: Sequence[str]) -> frozenset[str]:
    return frozenset(_named("CREATE", statements))


def taken(statements: Sequence[str]) -> frozenset[str]:
    return frozenset(_named("DROP", statements))


def plain(table: str) -> str | None:
    """Tell a table as the catalog does, public left out, from what SQL calls it."""
    whole = _TABLE.fullmatch(table)
    return None if whole is None else _in_schema(*map(_folded, whole.groups()))


def indexes_of(statements: Sequence[str], table: str, columns: Collection[str]) -> frozenset[str]:
    """Name the indexes that need columns of a table: they go where the columns go."""
    named = plain(table)
    if named is None:
        return frozenset()
    found: set[str] = set()
    for one in statements:
        match = _INDEX_ON.match(one.lstrip())
        if match is not None and _in_schema(*map(_folded, match.groups())) == named:
            words = {_folded(word) for word in re.findall(_WORD, one.lstrip()[match.end() :])}
            if words & set(columns):
                found |= made([one])
    return frozenset(found)


def _named(wanted: str, statements: Sequence[str]) -> Iterator[str]:
    for statement in statements:
        for verb, kind, pattern in _PATTERNS:
            if verb == wanted and (match := pattern.match(statement.lstrip())) and not _PARTITION.match(statement):
                yield f"{kind} {_whole(kind, [_folded(name) for name in match.groups()])}"


def touched(statements: Iterable[str]) -> frozenset[str]:
    """Name the tables that statements alter, refer to, or make something for."""
    return frozenset(_in_schema(*map(_folded, names)) for text in statements for names in _TOUCHES.findall(text))


def _whole(kind: str, names: list[str | None]) -> str:
    """Put a name together as the catalog tells it: triggers and policies behind their table, public left out."""
    match kind, names:
        case "index", [schema, name, of_table]:
            return _in_schema(schema or of_table, name)
        case _, [_, name, schema, table]:
            return f"{_in_schema(schema, table)}.{name}"
        case _:
            return _in_schema(names[0], names[1])


def _in_schema(schema: str | None, name: str | None) -> str:
    return f"{name}" if schema in (None, "", "public") else f"{schema}.{name}"


def _folded(name: str | None) -> str | None:
    if name is None or not name.startswith('"'):
        return name and name.lower()
    return name[1:-1].replace('""', '"')


# Partitions come and go by themselves; they are no part of what a history makes.
_PARTITION = re.compile(rf"\s*CREATE\s+TABLE\s+(?:IF NOT EXISTS\s+)?{_NAME}\s+PARTITION\s+OF\b", re.IGNORECASE)
_MAY_BE_THERE = re.compile(r"CREATE\s+(?:UNIQUE\s+)?\w+\s+(?:CONCURRENTLY|IF\s+NOT\s+EXISTS)\b", re.IGNORECASE)


def ensured(statements: Sequence[str]) -> frozenset[str]:
    """Name what is made by statements that may meet it: a build that was cut off can have got that far."""
    return made([text for text in statements if _MAY_BE_THERE.match(text.lstrip())])


def renamed(statements: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Name the tables that get another name in their schema: from, to."""
    found = [match.groups() for text in statements if (match := _RENAMES.match(text.lstrip()))]
    return tuple(
        (_in_schema(_folded(schema), _folded(old)), _in_schema(_folded(schema), _folded(new)))
        for schema, old, new in found
    )


def under(name: str, renames: Sequence[tuple[str, str]]) -> str:
    """Tell what an object is called once tables were renamed: triggers and policies go by their table's name."""
    kind, _, rest = name.partition(" ")
    for old, new in renames:
        if kind == "table" and rest == old:
            rest = new
        elif kind in {"trigger", "policy"} and rest.startswith(f"{old}."):
            rest = f"{new}{rest[len(old) :]}"
    return f"{kind} {rest}"


_RENAMES = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{_NAME}\s+RENAME\s+TO\s+({_WORD})\s*$", re.IGNORECASE
)


def roles(statements: Sequence[str]) -> frozenset[str]:
    return frozenset(name for text in statements for name in _ROLE.findall(text))


def extensions(statements: Sequence[str]) -> frozenset[str]:
    return frozenset(name for text in statements for name in _EXTENSION.findall(text))


def is_bookkeeping(statement: str) -> bool:
    """Tell Alembic's own statements from those of a revision."""
    return _BOOKKEEPING.match(statement) is not None


def split(script: str) -> list[str]:
    """Cut a script at its semicolons, as psql does: not inside of quotes, comments, parentheses and bodies of SQL."""
    found: list[str] = []
    start = position = parentheses = begun = 0
    while (token := _TOKEN.search(script, position)) is not None:
        position = token.end()
        match token[0]:
            case ";" if not parentheses and not begun:
                found.append(script[start : token.start()].strip())
                start = position
            case "(" | ")" as one:
                parentheses = max(0, parentheses + (1 if one == "(" else -1))
            case "/*":
                position = _behind_comment(script, position)
            case opening if opening.startswith("$"):
                end = script.find(opening, position)
                position = len(script) if end < 0 else end + len(opening)
            case word if word[0] in "bBcCeE" and word.isalpha() and not parentheses:
                begun = _deeper(begun, word.upper(), of_routine=_ROUTINE.match(script, start) is not None)
            case _:
                pass
    found.append(script[start:].strip())
    return [statement for statement in found if statement]


_TOKEN = re.compile(
    r"""(?<![\w$])[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*
    |(?<![\w$])\$(?:[A-Za-z_]\w*)?\$|[();]|\b(?:BEGIN|CASE|END)\b""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_EDGE = re.compile(r"/\*|\*/")
_ROUTINE = re.compile(r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b", re.IGNORECASE)


def _deeper(begun: int, word: str, *, of_routine: bool) -> int:
    """Follow BEGIN ATOMIC ... END, which is not quoted."""
    match word:
        case "BEGIN" if of_routine:
            return begun + 1
        case "CASE" if begun:
            return begun + 1
        case "END" if begun:
            return begun - 1
        case _:
            return begun


def _behind_comment(script: str, position: int) -> int:
    """Return where a comment ends: comments of PostgreSQL hold each other."""
    depth = 1
    while depth:
        edge = _EDGE.search(script, position)
        if edge is None:
            return len(script)
        depth, position = depth + (1 if edge[0] == "/*" else -1), edge.end()
    return position
