"""Words of a query become phrases of FTS5, each over the columns that its analyzer feeds."""

from dataclasses import dataclass
from typing import assert_never

from dbops.sandbox.emulators.search.query import words
from dbops.sandbox.emulators.search.query.fields import STRING, Field, Schema
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.simple import Joined, Query, Without, Words

NOTHING = '"\ue00f"'  # FTS5 has no way to say never, and no text has this word
_BEHIND = "\r\nParameter name: searchFields"


@dataclass(frozen=True, slots=True)
class Columns:
    """The places of some searchable fields in FTS5's table: analysed into words, and kept whole."""

    texts: str
    keywords: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """Writes FTS5's query language."""

    schema: Schema
    columns: Columns
    every: bool

    def of(self, query: Query) -> str:
        match query:
            case Words():
                joint = " AND " if self.every and not query.phrase else " OR "
                return _joined(joint, self.each(query))
            case Joined(every, parts):
                return _joined(" AND " if every else " OR ", [self.of(part) for part in parts])
            case Without():
                raise AssertionError(query)  # its complement is SQL's matter
            case _:
                assert_never(query)

    def each(self, query: Words) -> list[str]:
        """Give the phrases of one written word, which can be several words: wi-fi is two."""
        columns = self.columns if query.field is None else columns_of(self.schema, query.field)
        spelled = [words.text(word) for word in words.of(query.text)]
        star = " *" if query.prefix else ""
        found: list[str] = []
        if columns.texts and spelled:
            parts = [" ".join(spelled)] if query.phrase else spelled
            found = [f'{columns.texts}"{part}"' for part in parts]
            found[-1] += star
        if columns.keywords:
            whole = f'{columns.keywords}"{words.keywords(query.text)}"{star}'
            found = [f"({part} OR {whole})" for part in found] or [whole]
        return found


def columns_of(schema: Schema, told: str | None) -> Columns:
    """Find the columns of searchFields; without it, all."""
    places = {field.path: place for place, field in enumerate(schema.searchables)}
    if told is None or not told.strip():
        chosen = list(schema.searchables)
    else:
        chosen = [_searchable(schema, path.strip()) for path in told.split(",")]
    for field in chosen:
        if not words.is_imitated(field):
            raise Unsupported(f"full-text search with the analyzer {', '.join(field.analyzers)} of '{field.path}'")
        if field.synonyms:
            raise Unsupported(f"full-text search with the synonym map of '{field.path}'")
    texts = [places[field.path] for field in chosen if not words.is_keyword(field)]
    keywords = [places[field.path] for field in chosen if words.is_keyword(field)]
    return Columns(_listed(texts), _listed(keywords))


def _searchable(schema: Schema, path: str) -> Field:
    field = schema.by_path.get(path)
    if field is None:
        raise Invalid(f"The field '{path}' in the search field list does not exist.{_BEHIND}")
    if not field.searchable or field.type != STRING:
        raise Invalid(f"The field '{path}' in the search field list is not searchable.{_BEHIND}")
    return field


def _listed(places: list[int]) -> str:
    return "{" + " ".join(f"f{place}" for place in places) + "} : " if places else ""


def _joined(joint: str, parts: list[str]) -> str:
    return "(" + joint.join(parts) + ")" if parts else NOTHING
