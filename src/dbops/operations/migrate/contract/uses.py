"""Whether a statement uses an old name: a table, or columns of it. It reads the text; when in doubt, it says so. Pure.

It has to be right in one direction: a statement that uses the name is never taken for one that does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from dbops.operations.migrate.contract.tables import Name, Read, Ref, read_tables
from dbops.operations.migrate.contract.words import Kind, Word, in_texts, words


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
    parts: frozenset[Name] = frozenset()  # partitions and children: who names them means the table too

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.table[1], *(name for _, name in self.parts)})


_HOUSEKEEPING = frozenset(
    {"vacuum", "analyze", "analyse", "reindex", "cluster", "comment", "grant", "revoke", "alter", "drop"}
)
_ROW_OF_TRIGGER = frozenset({"new", "old", "excluded"})


def use(text: str, old: Old) -> Use:
    """Tell how one statement uses the old names."""
    every = words(text)
    if every and every[0] == "do":
        return use_in_function(text, old)
    return _use(every, old)


def _use(every: list[Word], old: Old, *, of_function: bool = False) -> Use:
    if every and every[0].text in _HOUSEKEEPING:
        return Use.NONE  # of administrators: no client depends on it
    read = read_tables(every)
    mine = [ref for ref in read.refs if _is_old(ref.table, old)]
    doubt = Use.UNCLEAR if old.twins and any(ref.table == (None, old.table[1]) for ref in mine) else Use.USED
    if not old.columns:
        return max(doubt if mine else Use.NONE, _stray(every, read, old))
    if not mine:
        if _elsewhere(every, old):
            return Use.NONE
        mentioned = any(word.named and word.text in old.columns for word in every)
        if mentioned and _named(every, old):
            return Use.UNCLEAR
        return Use.NONE if of_function else _stray(every, read, old)
    found = max(_columns(every, read, old, mine), _rows(every, read, mine), _natural(every, read, old, mine))
    return min(found, doubt) if found is Use.USED else found


def use_in_function(body: str, old: Old, *, of_its_trigger: bool = False) -> Use:
    """Tell how a function uses them. What it puts together as text may mean anything."""
    every = words(body)
    found = max((_use(part, old, of_function=True) for part in _statements(every)), default=Use.NONE)
    texts = {word.text for word in in_texts(body) if word.named}
    said = {*texts, *(word.text for word in every if word.named)}
    if old.names & texts and (not old.columns or old.columns & said):
        found = max(found, Use.UNCLEAR)
    if old.columns and found is Use.NONE and old.columns & said and _holds_rows(every, old):
        found = Use.UNCLEAR
    if of_its_trigger and old.columns:
        for before, dot, name in zip(every, every[1:], every[2:], strict=False):
            if dot == "." and name.named and name.text in old.columns and before.text in {"new", "old", ")"}:
                return Use.USED
        if old.columns & texts:  # to_jsonb(NEW) ->> 'name'
            found = max(found, Use.UNCLEAR)
    return found


def _holds_rows(every: list[Word], old: Old) -> bool:
    """Say whether a variable has the type of the table's rows: what is read from it, no statement tells."""
    for n, word in enumerate(every):
        if word.named and word.text in old.names:
            after = every[n + 1] if n + 1 < len(every) else None
            before = every[n - 1] if n else None
            if after is not None and (after == "%" or (after in {";", ":"} and _declared(every, n, before))):
                return True
    return False


def _declared(every: list[Word], n: int, before: Word | None) -> bool:
    """Say whether `name type;` stands here: what precedes it ended a declaration, or began them."""
    start = n - (3 if before is not None and before == "." else 1)
    ahead = every[start - 1] if start >= 1 else None
    return start >= 0 and every[start].named and (ahead is None or ahead in {"declare", ";"})


def becomes(text: str, roles: frozenset[str]) -> bool:
    """Say whether a statement makes one of these roles of whoever sends it: SET ROLE, SET SESSION AUTHORIZATION."""
    every = words(text)
    if not every or every[0] != "set" or not any(word in {"role", "authorization"} for word in every[1:4]):
        return False
    texts = {word.text for word in in_texts(text) if word.named}
    return bool(roles & ({word.text for word in every if word.named} | texts))


def mentions(text: str, names: frozenset[str]) -> bool:
    return any(word.named and word.text in names for word in words(text))


def _statements(every: list[Word]) -> list[list[Word]]:
    parts: list[list[Word]] = [[]]
    for word in every:
        if word == ";":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _is(ref: Name | tuple[None, str], table: Name) -> bool:
    return ref[1] == table[1] and ref[0] in {None, table[0]}


def _is_old(ref: Name | tuple[None, str], old: Old) -> bool:
    return _is(ref, old.table) or any(_is(ref, part) for part in old.parts)


def _named(every: list[Word], old: Old) -> bool:
    return any(word.named and word.text in old.names for word in every)


def _elsewhere(every: list[Word], old: Old) -> bool:
    """Say whether each mention of the table's name is that of another schema's table."""
    schemas = {old.table[0], *(schema for schema, _ in old.parts)}
    at = [n for n, word in enumerate(every) if word.named and word.text in old.names]
    return bool(at) and all(n >= 2 and every[n - 1] == "." and every[n - 2].text not in schemas for n in at)


def _stray(every: list[Word], read: Read, old: Old) -> Use:
    """Find the table's name where no table was expected: only a column of that name explains it."""
    for n, word in enumerate(every):
        if word.named and word.text in old.names and n not in read.taken and not old.others.get(word.text):
            before = every[n - 1] if n else None
            if before is not None and before == "." and n >= 2 and every[n - 2].text != old.table[0]:
                continue
            if before is not None and before == "on" and every[0] == "create" and old.columns:
                continue  # an index on other columns
            return Use.UNCLEAR
    return Use.NONE


def _natural(every: list[Word], read: Read, old: Old, mine: list[Ref]) -> Use:
    """NATURAL JOIN compares the columns of one name, and names none."""
    if not any(word == "natural" for word in every):
        return Use.NONE
    others = [ref for ref in read.refs if ref not in mine]
    known = any(_may_have(ref, column, old) for ref in others for column in old.columns)
    return Use.UNCLEAR if known or read.derived or read.mixed else Use.NONE


def _columns(every: list[Word], read: Read, old: Old, mine: list[Ref]) -> Use:
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


def _unqualified(read: Read, scope: int, column: str, old: Old, mine: list[Ref]) -> Use:
    others = [ref for ref in read.refs if ref.scope == scope and ref not in mine]
    others_have = any(ref.table[1] in read.derived or _may_have(ref, column, old) for ref in others)
    ours = any(ref.scope == scope for ref in mine)
    return Use.USED if ours and not others_have and scope not in read.mixed else Use.UNCLEAR


def _qualified(qualifier: str, aliases: set[str], others: list[Ref], read: Read) -> Use:
    if qualifier in aliases or qualifier in _ROW_OF_TRIGGER:
        return Use.USED
    if qualifier in read.derived or any(ref.alias == qualifier for ref in others):
        return Use.NONE
    return Use.UNCLEAR


def _may_have(ref: Ref, column: str, old: Old) -> bool:
    return any(_is(ref.table, each) for each in old.others.get(column, ()))


def _rows(every: list[Word], read: Read, mine: list[Ref]) -> Use:
    aliases, scopes = {ref.alias for ref in mine}, {ref.scope for ref in mine}
    known = {*read.derived, *(ref.alias for ref in read.refs if ref not in mine)} - aliases
    for scope, qualifier in read.stars:  # of an alias that is not known: that of a join in parentheses
        if qualifier not in known if qualifier is not None else scope in scopes:
            return Use.WHOLE_ROW
    for n, word in enumerate(every):  # to_jsonb(u), SELECT u FROM users u
        if word.named and word.text in aliases and n not in read.taken:
            before, after = every[n - 1] if n else None, every[n + 1] if n + 1 < len(every) else None
            if before is not None and before in {".", "of"}:
                continue
            if after is None or after not in {".", "("}:
                return Use.WHOLE_ROW
    return Use.NONE
