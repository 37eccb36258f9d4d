"""Full text: a query becomes FTS5's, and its matches a source of rows with BM25 scores."""

from collections.abc import Callable
from typing import Any, assert_never

from dbops.sandbox.emulators.search.query import words
from dbops.sandbox.emulators.search.query.fields import STRING, Field, Schema
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.simple import Joined, Query, Without, Words, parse
from dbops.sandbox.emulators.search.query.source import Source
from dbops.sandbox.emulators.search.query.table import Table

_LUCENE = set('+-&|!(){}[]^~*?:\\/"')
_CONSTANT = -1.0  # the score of what matches because it lacks something


def matches(table: Table, asked: dict[str, Any], where: str, values: list[Any]) -> Source:
    """Give the rows that match the text of a request, among those that `where` leaves."""
    fields = _fields(table.schema, asked.get("searchFields"))
    query = _query(asked)
    every = _every(asked)
    # No word, as in "...", is no match; a query of the simple syntax never fails.
    if query is None or not _has_words(query):
        return Source(f"{table.docs} d", "0")
    fts = f"SELECT rowid AS n, bm25({table.fts}) AS b FROM {table.fts} WHERE {table.fts} MATCH ?"  # noqa: S608
    expression = _Expression(table.schema, fields, every=every)
    if not _negates(query):
        return Source(
            f"({fts}) h CROSS JOIN {table.docs} d ON d.n = h.n",
            where,
            [expression.of(query)],
            values,
            "h.b",
            ranked=True,
        )
    found: list[Any] = []
    condition = _condition(query, expression, table.fts, found)
    positive = expression.of_any(_positives(query))
    if positive is None:
        return Source(f"{table.docs} d", f"({where}) AND {condition}", [], [*values, *found], constant=True)
    return Source(
        f"{table.docs} d LEFT JOIN ({fts}) h ON h.n = d.n",
        f"({where}) AND {condition}",
        [positive],
        [*values, *found],
        f"ifnull(h.b, {_CONSTANT})",
        ranked=True,
    )


def is_everything(asked: dict[str, Any]) -> bool:
    text = asked.get("search")
    return text is None or not str(text).strip() or str(text).strip() == "*"


def _every(asked: dict[str, Any]) -> bool:
    mode = asked.get("searchMode") or "any"
    if mode not in ("any", "all"):
        raise Invalid(f"The value '{mode}' of the parameter 'searchMode' is not valid: it is 'any' or 'all'.")
    return mode == "all"


def _query(asked: dict[str, Any]) -> Query | None:
    text = str(asked["search"])
    if asked.get("queryType") == "full":
        if _LUCENE & set(text) or {"AND", "OR", "NOT"} & set(text.split()):
            raise Unsupported("operators of the full Lucene query syntax")
    return parse(text, every=_every(asked))


def _fields(schema: Schema, told: Any) -> list[tuple[int, Field]]:
    places = {field.path: (place, field) for place, field in enumerate(schema.searchables)}
    chosen = list(places.values())
    if told is not None and str(told).strip():
        chosen = [_chosen(schema, places, path.strip()) for path in str(told).split(",")]
    for _, field in chosen:
        if not words.is_imitated(field):
            raise Unsupported(f"full-text search with the analyzer {', '.join(field.analyzers)} of '{field.path}'")
        if field.synonyms:
            raise Unsupported(f"full-text search with the synonym map of '{field.path}'")
    return chosen


def _chosen(schema: Schema, places: dict[str, tuple[int, Field]], path: str) -> tuple[int, Field]:
    field = schema.by_path.get(path)
    if field is None:
        raise Invalid(f"The field '{path}' in the search field list does not exist.\r\nParameter name: searchFields")
    if not field.searchable or field.type != STRING:
        raise Invalid(f"The field '{path}' in the search field list is not searchable.\r\nParameter name: searchFields")
    return places[path]


class _Expression:
    """Writes FTS5's query language over chosen columns, each with its analyzer."""

    def __init__(self, schema: Schema, fields: list[tuple[int, Field]], *, every: bool) -> None:
        self._every = every
        texts = [place for place, field in fields if not words.is_keyword(field)]
        keywords = [place for place, field in fields if words.is_keyword(field)]
        everything = len(texts) == len(schema.searchables)
        self._texts = "" if everything else _columns(texts)
        self._has_texts = bool(texts)
        self._keywords = _columns(keywords)
        self._has_keywords = bool(keywords)

    def of(self, query: Query) -> str:
        match query:
            case Words():
                return self._words(query)
            case Joined(every, parts):
                return "(" + (" AND " if every else " OR ").join(self.of(part) for part in parts) + ")"
            case Without():
                raise AssertionError(query)
            case _:
                assert_never(query)

    def of_any(self, queries: list[Words]) -> str | None:
        return "(" + " OR ".join(self._words(query) for query in queries) + ")" if queries else None

    def _words(self, query: Words) -> str:
        ways: list[str] = []
        found = [words.text(word) for word in words.of(query.text)]
        star = " *" if query.prefix else ""
        if self._has_texts and found:
            if query.phrase:
                ways.append(f'{self._texts}"{" ".join(found)}"')
            else:
                # One written word can be several: wi-fi is searched as two.
                parts = [f'{self._texts}"{word}"' for word in found[:-1]] + [f'{self._texts}"{found[-1]}"{star}']
                ways.append("(" + (" AND " if self._every else " OR ").join(parts) + ")")
        if self._has_keywords:
            ways.append(f'{self._keywords}"{words.keywords(query.text)}"{star}')
        # A word without letters is in no document; FTS5 has no way to say never, and nothing has this word.
        return "(" + " OR ".join(ways) + ")" if ways else '"\ue00f"'


def _columns(places: list[int]) -> str:
    return "{" + " ".join(f"f{place}" for place in places) + "} : "


def _condition(query: Query, expression: _Expression, fts: str, values: list[Any]) -> str:
    if not _negates(query):
        values.append(expression.of(query))
        return f"d.n IN (SELECT rowid FROM {fts} WHERE {fts} MATCH ?)"  # noqa: S608
    match query:
        case Without(part):
            return f"NOT {_condition(part, expression, fts, values)}"
        case Joined(every, parts):
            inner = [_condition(part, expression, fts, values) for part in parts]
            return "(" + (" AND " if every else " OR ").join(inner) + ")"
        case Words():
            raise AssertionError(query)
        case _:
            assert_never(query)


def _negates(query: Query) -> bool:
    return _any(query, lambda part: isinstance(part, Without))


def _has_words(query: Query) -> bool:
    return _any(query, lambda part: isinstance(part, Words))


def _any(query: Query, is_so: Callable[[Query], bool]) -> bool:
    match query:
        case Words():
            return is_so(query)
        case Without(part):
            return is_so(query) or _any(part, is_so)
        case Joined(_, parts):
            return any(_any(part, is_so) for part in parts)
        case _:
            assert_never(query)


def _positives(query: Query) -> list[Words]:
    match query:
        case Words():
            return [query]
        case Without():
            return []
        case Joined(_, parts):
            return [word for part in parts for word in _positives(part)]
        case _:
            assert_never(query)
