"""Full text: a query becomes FTS5's, and its matches a source of rows with BM25 scores.

FTS5 gives a word that most documents have almost no weight; Lucene's formula keeps it positive. So each phrase is
scored by FTS5 alone, its weight is exchanged for Lucene's, and the phrases are added up.
"""

import math
from collections.abc import Callable
from typing import Any, assert_never

from dbops.sandbox.emulators.search.query import lucene, simple
from dbops.sandbox.emulators.search.query.phrases import Phrases, columns_of
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.simple import Joined, Query, Without, Words
from dbops.sandbox.emulators.search.query.source import Source
from dbops.sandbox.emulators.search.query.table import Table

_SATURATION = 2.2  # FTS5 multiplies by k1 + 1, Lucene no longer does
_LEAST_WEIGHT = 1e-6  # of FTS5, for words that more than half of the documents have
_CONSTANT = -1.0  # the score of what matches because it lacks something
_MOST_WORDS = 200
_LONGEST = 100_000


def matches(table: Table, asked: dict[str, Any], where: str, values: list[Any]) -> Source:
    """Give the rows that match the text of a request, among those that `where` leaves."""
    every = is_every(asked.get("searchMode"))
    query = _parsed(str(asked["search"]), asked.get("queryType") or "simple", every=every)
    phrases = Phrases(table.schema, columns_of(table.schema, asked.get("searchFields")), every)
    if query is None or not _any(query, lambda part: isinstance(part, Words)):
        return Source(f"{table.docs} d", "0")  # no word, as in "...", is no match, and no error
    found: list[Any] = []
    matched = f"({where}) AND {_condition(query, phrases, table.fts, found)}"
    unscored = Source(f"{table.docs} d", matched, [], [*values, *found])
    scores, score_values = _scores(table, phrases, query)
    if _any(query, lambda part: isinstance(part, Without)):
        tables, score = f"{table.docs} d LEFT JOIN ({scores}) h ON h.n = d.n", f"ifnull(h.b, {_CONSTANT})"
    else:  # then whatever matches has a word
        tables, score = f"({scores}) h CROSS JOIN {table.docs} d ON d.n = h.n", "h.b"
        if _is_any_of_words(query, phrases):  # and whatever has a word matches
            return Source(tables, where, score_values, values, score, ranked=True, unscored=unscored)
    return Source(tables, matched, score_values, unscored.after, score, ranked=True, unscored=unscored)


def condition(table: Table, text: str, *, fields: str, syntax: str, mode: str) -> tuple[str, list[Any]]:
    """Give the condition on rows `d` that search.ismatch means."""
    every = is_every(mode)
    query = _parsed(text, syntax, every=every)
    phrases = Phrases(table.schema, columns_of(table.schema, fields), every)
    if query is None or not _any(query, lambda part: isinstance(part, Words)):
        return ("1" if is_everything(text) else "0"), []
    found: list[Any] = []
    return _condition(query, phrases, table.fts, found), found


def is_everything(text: Any) -> bool:
    return text is None or str(text).strip() in ("", "*")


def is_every(mode: Any) -> bool:
    if mode not in (None, "", "any", "all"):
        raise Invalid(f"The value '{mode}' of the parameter 'searchMode' is not valid: it is 'any' or 'all'.")
    return mode == "all"


def _parsed(text: str, syntax: str, *, every: bool) -> Query | None:
    if is_everything(text):
        return None
    if len(text) > _LONGEST:
        raise Invalid(f"The search text has {len(text)} characters; at most {_LONGEST} are allowed.")
    return (lucene if syntax == "full" else simple).parse(text, every=every)


def _scores(table: Table, phrases: Phrases, query: Query) -> tuple[str, list[Any]]:
    """Select every row that has a word of the query, with its score (small is good)."""
    parts: list[str] = []
    values: list[Any] = []
    every_row = _one(table, f"SELECT count(*) FROM {table.docsize}")  # noqa: S608
    wanted = {phrase: word.prefix for word in _positives(query) for phrase in phrases.each(word)}
    if len(wanted) > _MOST_WORDS:
        raise Unsupported(f"queries of more than {_MOST_WORDS} words")
    for phrase, prefix in wanted.items():
        if prefix:  # the service does not rank what begins alike
            parts.append(f"SELECT rowid AS n, {_CONSTANT} AS b FROM {table.fts} WHERE {table.fts} MATCH ?")  # noqa: S608
            values.append(phrase)
            continue
        with_it = _one(table, f"SELECT count(*) FROM {table.fts} WHERE {table.fts} MATCH ?", phrase)  # noqa: S608
        if with_it:
            factor = _weight(every_row, with_it)
            parts.append(
                f"SELECT n, b * {factor!r} AS b FROM (SELECT rowid AS n, bm25({table.fts}) AS b"  # noqa: S608
                f" FROM {table.fts} WHERE {table.fts} MATCH ? LIMIT -1)"  # the limit keeps bm25 where it can be asked
            )
            values.append(phrase)
    if not parts:
        return "SELECT 0 AS n, 0.0 AS b WHERE 0", []
    return f"SELECT n, sum(b) AS b FROM ({' UNION ALL '.join(parts)}) GROUP BY n", values  # noqa: S608


def _weight(every_row: int, with_it: int) -> float:
    there = max(math.log((every_row - with_it + 0.5) / (with_it + 0.5)), _LEAST_WEIGHT)
    wanted = math.log(1 + (every_row - with_it + 0.5) / (with_it + 0.5))
    return wanted / there / _SATURATION


def _one(table: Table, statement: str, *values: Any) -> int:
    (found,) = table.connection.execute(statement, values).fetchone()
    return found


def _is_any_of_words(query: Query, phrases: Phrases) -> bool:
    """Whether the rows that have any word of the query are the matches."""
    match query:
        case Words():
            return query.phrase or not phrases.every or len(phrases.each(query)) == 1
        case Joined(every, parts):
            return (
                not query.bonus and (not every or len(parts) == 1) and all(_is_any_of_words(p, phrases) for p in parts)
            )
        case Without():
            return False
        case _:
            assert_never(query)


def _condition(query: Query, phrases: Phrases, fts: str, values: list[Any]) -> str:
    if not _any(query, lambda part: isinstance(part, Without)):
        values.append(phrases.of(query))
        return f"d.n IN (SELECT rowid FROM {fts} WHERE {fts} MATCH ?)"  # noqa: S608
    match query:
        case Without(part):
            return f"NOT {_condition(part, phrases, fts, values)}"
        case Joined(every, parts):
            inner = [_condition(part, phrases, fts, values) for part in parts]
            return "(" + (" AND " if every else " OR ").join(inner) + ")"
        case Words():
            raise AssertionError(query)
        case _:
            assert_never(query)


def _any(query: Query, is_so: Callable[[Query], bool]) -> bool:
    match query:
        case Words():
            return is_so(query)
        case Without(part):
            return is_so(query) or _any(part, is_so)
        case Joined(_, parts, bonus):
            return is_so(query) or any(_any(part, is_so) for part in (*parts, *bonus))
        case _:
            assert_never(query)


def _positives(query: Query) -> list[Words]:
    match query:
        case Words():
            return [query]
        case Without():
            return []
        case Joined(_, parts, bonus):
            return [word for part in (*parts, *bonus) for word in _positives(part)]
        case _:
            assert_never(query)
