"""Which tables a statement reads and writes, under which names, and where it takes whole rows. Pure."""

from dataclasses import dataclass, field

from dbops.operations.migrate.contract.words import Kind, Word

Name = tuple[str, str]  # schema, table

_TABLES_FOLLOW = frozenset({"from", "join", "update", "into", "copy", "table", "truncate", "lock", "using", "only"})
_CLAUSES = frozenset(
    {
        *(
            "select",
            "insert",
            "delete",
            "merge",
            "where",
            "group",
            "order",
            "having",
            "limit",
            "offset",
            "set",
            "values",
        ),
        *("returning", "on", "window", "union", "intersect", "except", "fetch", "for", "when", "then", "with"),
        *(
            "begin",
            "end",
            "loop",
            "if",
            "else",
            "elsif",
            "return",
            "perform",
            "execute",
            "raise",
            "declare",
            "partition",
        ),
    }
)
_NO_ALIAS = _CLAUSES | {
    *("left", "right", "inner", "full", "outer", "cross", "natural", "join", "using", "from", "tablesample", "default"),
    "table",
    *("do", "to", "in", "mode", "nowait", "restart", "continue", "cascade", "restrict", "matched", "not"),
    *("overriding", "and", "or", "is", "as"),
}
_NAMES_ITS_COLUMNS = frozenset({"from", "join", "using"})
_BEHIND_A_STAR = frozenset({",", ")", ";", "from", "into", "where", "order", "limit", "union", "except", "intersect"})
_SUBQUERY = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge"})


@dataclass(slots=True)
class Ref:
    table: Name | tuple[None, str]
    alias: str
    scope: int
    at: int


@dataclass(slots=True)
class _Frame:
    scope: int
    clause: str
    expecting: bool = False  # a table may come next


@dataclass(slots=True)
class Read:
    """What was found in one statement."""

    refs: list[Ref] = field(default_factory=list[Ref])
    derived: set[str] = field(default_factory=set[str])  # subqueries and WITH: what they hold is read by itself
    taken: set[int] = field(default_factory=set[int])  # positions of words that are tables, aliases, labels
    stars: list[tuple[int, str | None]] = field(default_factory=list[tuple[int, str | None]])
    inserts: list[int] = field(default_factory=list[int])  # tables of INSERT INTO t, COPY t without a list of columns
    merged: list[int] = field(default_factory=list[int])  # tables of MERGE INTO t
    scopes: dict[int, int] = field(default_factory=dict[int, int])  # which SELECT a position belongs to
    mixed: set[int] = field(default_factory=set[int])  # scopes that also read from a subquery


def read_tables(every: list[Word]) -> Read:
    """Follow the clauses of a statement, word by word."""
    read = Read()
    frames = [_Frame(0, "")]
    scopes = n = 0
    while n < len(every):
        word, before = every[n], every[n - 1] if n else None
        frame = frames[-1]
        read.scopes[n] = frame.scope
        if word == "(":
            follows = every[n + 1] if n + 1 < len(every) else None
            subquery = follows is not None and follows in _SUBQUERY
            tables = frame.expecting and not subquery and frame.clause != "using"
            scopes += subquery
            frames.append(_Frame(scopes if subquery else frame.scope, "from" if tables else "(", expecting=tables))
            frame.expecting = False
        elif word == ")":
            left = frames.pop() if len(frames) > 1 else frame
            if left.scope != frames[-1].scope and frames[-1].clause in _TABLES_FOLLOW:
                read.mixed.add(frames[-1].scope)
                n = _derived(every, n, read)
        elif word == ";":
            frames[:] = [_Frame(scopes := scopes + 1, "")]
        elif frame.expecting and word.named and (word.kind is Kind.QUOTED or word.text not in _NO_ALIAS | {"lateral"}):
            if word not in {"only", "table"}:
                n = _table(every, n, frame, read)
        elif word.kind is Kind.NAME:
            _keyword(every, n, frame, read)
        elif word == "," and frame.clause in {"from", "join", "using", "truncate", "lock", "table"}:
            frame.expecting = True
        elif word == "*" and before is not None:
            after = every[n + 1] if n + 1 < len(every) else None
            if before == "." and n >= 2:
                read.stars.append((frame.scope, every[n - 2].text))
            elif before != "(" and (after is None or after in _BEHIND_A_STAR or before == "select"):
                read.stars.append((frame.scope, None))
        n += 1
    return read


def _keyword(every: list[Word], n: int, frame: _Frame, read: Read) -> None:
    word = every[n].text
    before = every[n - 1] if n else None
    if word == "insert" and read.merged and n + 1 < len(every) and every[n + 1] in {"values", "overriding"}:
        read.inserts.append(read.merged[-1])
    if word == "as" and n + 1 < len(every) and every[n + 1].named:
        read.taken.add(n + 1)  # a label
        if before is not None and before.named and frame.clause == "with":
            read.derived.add(before.text)
    if word == "from" and (
        (before is not None and before == "distinct" and _is_distinct(every, n)) or frame.clause == "("
    ):
        return  # IS DISTINCT FROM; extract(year FROM ...)
    if (
        word == "update"
        and before is not None
        and before in {"for", "key", "do", "on", "before", "after", "or", "then"}
    ):
        return
    if word in _TABLES_FOLLOW:
        frame.clause, frame.expecting = ("from" if word == "only" and frame.expecting else word), True
    elif word in _CLAUSES:
        frame.clause, frame.expecting = word, False
    if word == "with" and n + 1 < len(every) and every[n + 1].named:
        read.derived.add(every[n + 2 if every[n + 1] == "recursive" and n + 2 < len(every) else n + 1].text)


def _is_distinct(every: list[Word], n: int) -> bool:
    return n >= 2 and every[n - 2] in {"is", "not"}


def _table(every: list[Word], n: int, frame: _Frame, read: Read) -> int:
    """Read a table with its schema and alias; return the position of its last word."""
    first, table, schema = n, every[n].text, None
    read.taken.add(n)
    while n + 2 < len(every) and every[n + 1] == "." and every[n + 2].named:
        schema, table = table, every[n + 2].text
        n += 2
        read.taken.add(n)
    frame.expecting = False
    at, alias = n, table
    after = n + 1
    if after < len(every) and every[after] == "*":
        n, after = after, after + 1
    if after < len(every) and every[after] == "as":
        after += 1
    if after < len(every) and every[after].named:
        word = every[after]
        if word.kind is Kind.QUOTED or word.text not in _NO_ALIAS:
            alias, n = word.text, after
            read.taken.add(after)
            if frame.clause in _NAMES_ITS_COLUMNS and n + 1 < len(every) and every[n + 1] == "(":
                read.stars.append((frame.scope, alias))  # FROM t AS a (x, y): by their places
    if first >= 2 and every[first - 2] == "merge":
        read.merged.append(at)
    if frame.clause == "copy" or (frame.clause == "into" and first >= 2 and every[first - 2] == "insert"):
        listed = n + 1 < len(every) and every[n + 1] == "("
        selects = n + 2 < len(every) and every[n + 2] in {"select", "with", "values"}
        defaults = n + 1 < len(every) and every[n + 1] == "default"
        if not defaults and (not listed or selects):
            read.inserts.append(at)
    if frame.clause == "table" and first and not (first >= 2 and every[first - 2] in {"truncate", "lock"}):
        read.stars.append((frame.scope, None))
    if not (frame.clause == "into" and first == at and schema is None and _is_variable(every, first)):
        read.refs.append(Ref((schema, table) if schema else (None, table), alias, frame.scope, at))
    return n


def _is_variable(every: list[Word], n: int) -> bool:
    """SELECT ... INTO variable, of a function: no INSERT and no MERGE stands before INTO."""
    return not (n >= 2 and every[n - 2] in {"insert", "merge"})


def _derived(every: list[Word], n: int, read: Read) -> int:
    """Take the name that follows a subquery in FROM."""
    after = n + 1
    if after < len(every) and every[after] == "as":
        after += 1
    if after < len(every) and every[after].named:
        word = every[after]
        if word.kind is Kind.QUOTED or word.text not in _NO_ALIAS:
            read.derived.add(word.text)
            read.taken.add(after)
            return after
    return n
