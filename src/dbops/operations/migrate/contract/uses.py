"""Whether a statement uses an old name: a table, or columns of it. It reads the text; when in doubt, it says so. Pure.

It has to be right in one direction: a statement that uses the name is never taken for one that does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from dbops.operations.migrate.contract.words import Kind, Word, in_texts, words

Name = tuple[str, str]  # schema, table


class Use(IntEnum):
    """The higher, the worse."""

    NONE = 0
    UNCLEAR = 1  # the name could be that of another table
    WHOLE_ROW = 2  # SELECT *: what the client does with the column nobody can tell
    USED = 3


@dataclass(frozen=True, slots=True)
class Old:
    """The names that go away, as PostgreSQL stores them, and where else such names are to be found."""

    table: Name
    columns: frozenset[str] = frozenset()  # none: the table itself
    others: Mapping[str, frozenset[Name]] = field(default_factory=dict[str, frozenset[Name]])  # by column: who has one
    twins: bool = False  # another schema has a relation of this name


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
    *("do", "to", "in", "mode", "nowait", "restart", "continue", "cascade", "restrict", "matched", "not"),
    *("overriding", "and", "or", "is", "as"),
}
_BEHIND_A_STAR = frozenset({",", ")", ";", "from", "into", "where", "order", "limit", "union", "except", "intersect"})
_HOUSEKEEPING = frozenset(
    {"vacuum", "analyze", "analyse", "reindex", "cluster", "comment", "grant", "revoke", "alter", "drop"}
)
_SUBQUERY = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge"})
_ROW_OF_TRIGGER = frozenset({"new", "old", "excluded"})


@dataclass(slots=True)
class _Ref:
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
class _Read:
    """What was found in one statement."""

    refs: list[_Ref] = field(default_factory=list[_Ref])
    derived: set[str] = field(default_factory=set[str])  # subqueries and WITH: what they hold is read by itself
    taken: set[int] = field(default_factory=set[int])  # positions of words that are tables, aliases, labels
    stars: list[tuple[int, str | None]] = field(default_factory=list[tuple[int, str | None]])
    inserts: list[int] = field(default_factory=list[int])  # tables of INSERT INTO t, COPY t without a list of columns
    scopes: dict[int, int] = field(default_factory=dict[int, int])  # which SELECT a position belongs to
    mixed: set[int] = field(default_factory=set[int])  # scopes that also read from a subquery


def use(text: str, old: Old) -> Use:
    """Tell how one statement uses the old names."""
    every = words(text)
    if every and every[0].text in _HOUSEKEEPING:
        return Use.NONE  # of administrators: no client depends on it
    read = _read(every)
    mine = [ref for ref in read.refs if _is(ref.table, old.table)]
    doubt = Use.UNCLEAR if old.twins and any(ref.table[0] is None for ref in mine) else Use.USED
    if not old.columns:
        return max(doubt if mine else Use.NONE, _stray(every, read, old))
    if not mine:
        named = any(word.named and word.text == old.table[1] for word in every)
        mentioned = named and any(word.named and word.text in old.columns for word in every)
        return Use.UNCLEAR if mentioned and not _elsewhere(every, old) else Use.NONE
    found = max(_columns(every, read, old, mine), _rows(every, read, mine))
    return min(found, doubt) if found is Use.USED else found


def use_in_function(body: str, old: Old, *, of_its_trigger: bool = False) -> Use:
    """Tell how a function uses them. What it puts together as text may mean anything."""
    every = words(body)
    found = max((use(part, old) for part in _statements(body)), default=Use.NONE)
    texts = {word.text for word in in_texts(body) if word.named}
    if old.table[1] in texts and (not old.columns or old.columns & {*texts, *(w.text for w in every if w.named)}):
        found = max(found, Use.UNCLEAR)
    if of_its_trigger and old.columns:
        for before, dot, name in zip(every, every[1:], every[2:], strict=False):
            if dot == "." and name.named and name.text in old.columns and before.text in {"new", "old"}:
                return Use.USED
    return found


def mentions(text: str, names: frozenset[str]) -> bool:
    return any(word.named and word.text in names for word in words(text))


def _statements(body: str) -> list[str]:
    return body.split(";")  # a semicolon within a text only makes the pieces smaller


def _is(ref: Name | tuple[None, str], table: Name) -> bool:
    return ref[1] == table[1] and ref[0] in {None, table[0]}


def _elsewhere(every: list[Word], old: Old) -> bool:
    """Say whether each mention of the table's name is that of another schema's table."""
    at = [n for n, word in enumerate(every) if word.named and word.text == old.table[1]]
    return bool(at) and all(n >= 2 and every[n - 1] == "." and every[n - 2].text != old.table[0] for n in at)


def _stray(every: list[Word], read: _Read, old: Old) -> Use:
    """Find the table's name where no table was expected: only a column of that name explains it."""
    for n, word in enumerate(every):
        if word.named and word.text == old.table[1] and n not in read.taken and not old.others.get(word.text):
            if n >= 2 and every[n - 1] == "." and every[n - 2].text != old.table[0]:
                continue
            return Use.UNCLEAR
    return Use.NONE


def _columns(every: list[Word], read: _Read, old: Old, mine: list[_Ref]) -> Use:
    found = Use.USED if any(ref.at in read.inserts for ref in mine) else Use.NONE
    aliases = {ref.alias for ref in mine}
    others = [ref for ref in read.refs if ref not in mine]
    for n, word in enumerate(every):
        if not word.named or word.text not in old.columns or n in read.taken:
            continue
        if word.kind is Kind.NAME and n + 1 < len(every) and every[n + 1] == "(":
            continue  # a function of that name
        if n >= 2 and every[n - 1] == "." and every[n - 2].named:
            found = max(found, _qualified(every[n - 2].text, aliases, others, read))
        else:
            found = max(found, _unqualified(read, read.scopes[n], word.text, old, mine))
    return found


def _unqualified(read: _Read, scope: int, column: str, old: Old, mine: list[_Ref]) -> Use:
    others = [ref for ref in read.refs if ref.scope == scope and ref not in mine]
    others_have = any(ref.table[1] in read.derived or _may_have(ref, column, old) for ref in others)
    ours = any(ref.scope == scope for ref in mine)
    return Use.USED if ours and not others_have and scope not in read.mixed else Use.UNCLEAR


def _qualified(qualifier: str, aliases: set[str], others: list[_Ref], read: _Read) -> Use:
    if qualifier in aliases or qualifier in _ROW_OF_TRIGGER:
        return Use.USED
    if qualifier in read.derived or any(ref.alias == qualifier for ref in others):
        return Use.NONE
    return Use.UNCLEAR


def _may_have(ref: _Ref, column: str, old: Old) -> bool:
    return any(_is(ref.table, each) for each in old.others.get(column, ()))


def _rows(every: list[Word], read: _Read, mine: list[_Ref]) -> Use:
    aliases, scopes = {ref.alias for ref in mine}, {ref.scope for ref in mine}
    for scope, qualifier in read.stars:
        if qualifier in aliases if qualifier is not None else scope in scopes:
            return Use.WHOLE_ROW
    for n, word in enumerate(every):  # to_jsonb(u), SELECT u FROM users u
        if word.named and word.text in aliases and n not in read.taken:
            before, after = every[n - 1] if n else None, every[n + 1] if n + 1 < len(every) else None
            if before is not None and before in {".", "of"}:
                continue
            if after is None or after not in {".", "("}:
                return Use.WHOLE_ROW
    return Use.NONE


def _read(every: list[Word]) -> _Read:
    read = _Read()
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


def _keyword(every: list[Word], n: int, frame: _Frame, read: _Read) -> None:
    word = every[n].text
    before = every[n - 1] if n else None
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


def _table(every: list[Word], n: int, frame: _Frame, read: _Read) -> int:
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
    if frame.clause == "copy" or (frame.clause == "into" and first >= 2 and every[first - 2] == "insert"):
        listed = n + 1 < len(every) and every[n + 1] == "("
        selects = n + 2 < len(every) and every[n + 2] in {"select", "with", "values"}
        defaults = n + 1 < len(every) and every[n + 1] == "default"
        if not defaults and (not listed or selects):
            read.inserts.append(at)
    if frame.clause == "table" and first and not (first >= 2 and every[first - 2] in {"truncate", "lock"}):
        read.stars.append((frame.scope, None))
    if not (frame.clause == "into" and first == at and schema is None and _is_variable(every, first)):
        read.refs.append(_Ref((schema, table) if schema else (None, table), alias, frame.scope, at))
    return n


def _is_variable(every: list[Word], n: int) -> bool:
    """SELECT ... INTO variable, of a function: no INSERT and no MERGE stands before INTO."""
    return not (n >= 2 and every[n - 2] in {"insert", "merge"})


def _derived(every: list[Word], n: int, read: _Read) -> int:
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
