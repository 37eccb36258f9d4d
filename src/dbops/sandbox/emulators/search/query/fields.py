"""An index definition, read: which fields there are, of which type, and what may be done with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dbops.sandbox.emulators.search.query.refusal import Unsupported

COMPLEX = "Edm.ComplexType"
DATE = "Edm.DateTimeOffset"
DOUBLE = "Edm.Double"
GEO = "Edm.GeographyPoint"
STRING = "Edm.String"
BOOLEAN = "Edm.Boolean"
INTEGERS = ("Edm.Int32", "Edm.Int64")
_COMPARABLE = (STRING, BOOLEAN, DATE, DOUBLE, *INTEGERS)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    path: str  # with the names of its parents: address/city
    type: str  # of one element, for collections
    collection: bool
    repeated: bool  # itself or a parent is a collection: a document can have several values
    key: bool
    filterable: bool
    sortable: bool
    facetable: bool
    searchable: bool
    retrievable: bool
    stored: bool
    dimensions: int | None
    profile: str | None
    analyzers: tuple[str, ...]
    synonyms: bool
    normalizer: str | None
    children: tuple["Field", ...]

    def must_be_exact(self) -> None:
        """Refuse comparisons whose result a normalizer would change."""
        if self.normalizer is not None:
            raise Unsupported(f"the normalizer {self.normalizer} of '{self.path}'")

    @property
    def told_type(self) -> str:
        return f"Collection({self.type})" if self.collection else self.type

    @property
    def has_column(self) -> bool:
        """Whether SQL must see it: its own column, or a place in that of the collection above it."""
        if self.type == COMPLEX:
            return self.collection
        return self.type in _COMPARABLE and (self.key or self.filterable or self.sortable or self.facetable)


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    fields: tuple[Field, ...]
    by_path: dict[str, Field]
    key: Field
    definition: dict[str, Any]

    @property
    def vectors(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.dimensions is not None)

    @property
    def searchables(self) -> tuple[Field, ...]:
        return tuple(f for f in self.by_path.values() if f.searchable and f.type == STRING)

    @property
    def columns(self) -> tuple[Field, ...]:
        """The fields that have a column of their own: a complex collection is one, its parts are inside."""
        return tuple(_columns(self.fields))


def read(definition: dict[str, Any]) -> Schema:
    """Understand a definition that was already found to be valid."""
    fields = tuple(_field(told, "", repeated=False) for told in definition["fields"])
    by_path = {field.path: field for field in walk(fields)}
    key = next(field for field in fields if field.key)
    return Schema(definition["name"], fields, by_path, key, definition)


def walk(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from walk(field.children)


def _columns(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        if field.has_column:
            yield field
        elif field.type == COMPLEX and not field.collection:
            yield from _columns(field.children)


def _field(told: dict[str, Any], above: str, *, repeated: bool) -> Field:
    kind: str = told["type"]
    collection = kind.startswith("Collection(")
    element = kind.removeprefix("Collection(").removesuffix(")")
    path = f"{above}/{told['name']}" if above else told["name"]
    vector = told.get("dimensions") is not None
    simple = element != COMPLEX and not vector
    children = tuple(_field(child, path, repeated=repeated or collection) for child in told.get("fields") or ())
    names = tuple(told[name] for name in ("analyzer", "searchAnalyzer", "indexAnalyzer") if told.get(name))

    def flag(name: str, otherwise: bool) -> bool:
        value = told.get(name)
        return otherwise if value is None else bool(value)

    return Field(
        name=told["name"],
        path=path,
        type=element,
        collection=collection,
        repeated=repeated or collection,
        key=flag("key", otherwise=False),
        filterable=flag("filterable", otherwise=simple),
        sortable=flag("sortable", otherwise=simple and not collection and not repeated),
        facetable=flag("facetable", otherwise=simple and element != GEO),
        searchable=flag("searchable", otherwise=element == STRING),
        retrievable=flag("retrievable", otherwise=not vector),
        stored=flag("stored", otherwise=True),
        dimensions=told.get("dimensions"),
        profile=told.get("vectorSearchProfile"),
        analyzers=names,
        synonyms=bool(told.get("synonymMaps")),
        normalizer=told.get("normalizer"),
        children=children,
    )
