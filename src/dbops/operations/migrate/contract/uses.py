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


_HOUSEKEEPING = frozenset(
    {"vacuum", "analyze", "analyse", "reindex", "cluster", "comment", "grant", "revoke", "alter", "drop"}
)
_ROW_OF_TRIGGER = frozenset({"new", "old", "excluded"})


def use(text: str, old: Old) -> Use:
    """Tell how one statement uses the old names."""
    every = words(text)
    if every and every[0].text in _HOUSEKEEPING:
        return Use.NONE  # of administrators: no client depends on it
    read = read_tables(every)
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


def _stray(every: list[Word], read: Read, old: Old) -> Use:
    """Find the table's name where no table was expected: only a column of that name explains it."""
    for n, word in enumerate(every):
        if word.named and word.text == old.table[1] and n not in read.taken and not old.others.get(word.text):
            if n >= 2 and every[n - 1] == "." and every[n - 2].text != old.table[0]:
                continue
            return Use.UNCLEAR
    return Use.NONE


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
