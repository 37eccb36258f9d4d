"""One document on its way into the table: its complete body, its columns, its vectors, its words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from dbops.sandbox.emulators.search.query import words
from dbops.sandbox.emulators.search.query.fields import COMPLEX, DATE, Field, Schema
from dbops.sandbox.emulators.search.query.values import encode, instant, milliseconds

_INTEGERS = ("Edm.Int16", "Edm.SByte", "Edm.Byte")


@dataclass(frozen=True, slots=True)
class Row:
    body: bytes  # every field but the vectors, in the definition's order, nulls written out
    columns: list[int | str | None]
    vectors: list[bytes | None]
    words: list[str]  # of each searchable field


def reader(schema: Schema) -> Callable[[dict[str, Any]], Row]:
    """Prepare the reading of documents of one index."""
    plain = tuple((field, _completer(field)) for field in schema.fields if field.dimensions is None)
    columns = tuple(_column(field) for field in schema.columns if not field.key)
    vectors = tuple(field.name for field in schema.vectors)
    spelled = speller(schema)

    def row(document: dict[str, Any]) -> Row:
        body = {field.name: complete(document.get(field.name)) for field, complete in plain}
        return Row(
            orjson.dumps(body),
            [column(body) for column in columns],
            [_floats(document.get(name)) for name in vectors],
            spelled(body),
        )

    return row


def shown(field: Field, data: bytes) -> Any:
    """Give a stored vector as JSON numbers: the shortest that mean the same 32-bit floats."""
    return orjson.loads(shown_bytes(field, data))


def shown_bytes(field: Field, data: bytes) -> bytes:
    numbers = np.frombuffer(data, np.float32)
    if field.type in _INTEGERS:
        numbers = numbers.astype(np.int32)
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)


def speller(schema: Schema) -> Callable[[dict[str, Any]], list[str]]:
    """Prepare the collection of each searchable field's words, with a gap between the elements of a collection."""
    ways = [
        (field.path.split("/"), words.keywords if words.is_keyword(field) else words.text)
        for field in schema.searchables
    ]
    return lambda body: [words.GAP.join([analysed(value) for value in _leaves(body, path)]) for path, analysed in ways]


def _floats(value: list[float] | None) -> bytes | None:
    return None if value is None else np.asarray(value, np.float32).tobytes()


def _completer(field: Field) -> Callable[[Any], Any]:
    """Prepare the completion of a value: missing parts are null, missing collections are empty."""
    one = _one(field)
    if not field.collection:
        return one
    if field.type not in (COMPLEX, DATE):
        return lambda value: value or []
    return lambda value: [one(element) for element in value or ()]


def _one(field: Field) -> Callable[[Any], Any]:
    if field.type == DATE:
        return lambda value: None if value is None else instant(milliseconds(value))
    if field.type != COMPLEX:
        return lambda value: value
    parts = tuple((child.name, _completer(child)) for child in field.children)
    return lambda value: None if value is None else {name: complete(value.get(name)) for name, complete in parts}


def _column(field: Field) -> Callable[[dict[str, Any]], int | str | None]:
    parents = field.path.split("/")[:-1]
    stored = _stored(field)
    name = field.name

    def column(body: dict[str, Any]) -> int | str | None:
        inside: dict[str, Any] | None = body
        for parent in parents:
            inside = inside.get(parent) if inside is not None else None
        value = stored(inside.get(name) if inside is not None else None)
        return orjson.dumps(value).decode() if isinstance(value, list | dict) else value

    return column


def _stored(field: Field) -> Callable[[Any], Any]:
    kind = field.type
    if kind == COMPLEX:
        parts = tuple((child.name, _stored(child)) for child in field.children if _matters(child))

        def one(value: Any) -> Any:
            return None if value is None else {name: stored(value.get(name)) for name, stored in parts}
    else:

        def one(value: Any) -> Any:
            return encode(kind, value)

    return (lambda value: [one(element) for element in value or ()]) if field.collection else one


def _matters(field: Field) -> bool:
    return field.has_column or any(_matters(child) for child in field.children)


def _leaves(value: Any, path: list[str]) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [leaf for element in value for leaf in _leaves(element, path)]  # pyright: ignore[reportUnknownVariableType]
    return _leaves(value.get(path[0]), path[1:]) if path else [value]
