"""$select: which parts of a document an answer shows, and how its bytes are made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from dbops.sandbox.emulators.search.query.fields import COMPLEX, Field, Schema
from dbops.sandbox.emulators.search.query.refusal import Invalid

_BEHIND = "\r\nParameter name: $select"
Cut = dict[str, "Cut | None"]  # None: all of it


@dataclass(frozen=True, slots=True)
class Chosen:
    vectors: tuple[Field, ...]
    cut: Cut | None  # None: every stored body is shown whole

    def shown(self) -> Callable[[bytes], bytes]:
        """Prepare what makes the shown body of a stored one."""
        if self.cut is None:
            return lambda body: body
        cut = self.cut
        return lambda body: orjson.dumps(_cut(orjson.loads(body), cut))


def choose(schema: Schema, select: str | None) -> Chosen:
    """Read $select; without it, everything that is retrievable is shown."""
    if select is None or not select.strip() or select.strip() == "*":
        cut = _retrievable(schema.fields)
        whole = cut == _everything(schema.fields)
        return Chosen(tuple(f for f in schema.vectors if f.retrievable and f.stored), None if whole else cut)
    cut: Cut = {}
    vectors: list[Field] = []
    for path in (part.strip() for part in select.split(",")):
        field = _selectable(schema, path)
        if field.dimensions is not None:
            vectors.append(field)
        else:
            _add(cut, field)
    return Chosen(tuple(vectors), cut)


def _selectable(schema: Schema, path: str) -> Field:
    field = schema.by_path.get(path)
    if field is None:
        told = f"Could not find a property named '{path}' on type 'search.document'."
        raise Invalid(f"Invalid expression: {told}{_BEHIND}")
    shown = _retrievable((field,)) or (field.dimensions is not None and field.retrievable and field.stored)
    if not shown:
        raise Invalid(
            f"Invalid expression: The field '{path}' is not retrievable. Only retrievable fields can be"
            f" selected.{_BEHIND}"
        )
    return field


def _add(cut: Cut, field: Field) -> None:
    *parents, name = field.path.split("/")
    at = cut
    for parent in parents:
        if parent in at and at[parent] is None:
            return  # the whole was selected already
        inner = at.setdefault(parent, {})
        at = {} if inner is None else inner
    below = _retrievable((field,))[field.name]
    at[name] = below


def _retrievable(fields: tuple[Field, ...]) -> Cut:
    found: Cut = {}
    for field in fields:
        if field.type == COMPLEX:
            below = _retrievable(field.children)
            if below:
                found[field.name] = None if below == _everything(field.children) else below
        elif field.retrievable and field.dimensions is None:
            found[field.name] = None
    return found


def _everything(fields: tuple[Field, ...]) -> Cut:
    return {field.name: None for field in fields if field.dimensions is None}


def _cut(value: Any, cut: Cut) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_cut(element, cut) for element in value]  # pyright: ignore[reportUnknownVariableType]
    return {name: value[name] if below is None else _cut(value[name], below) for name, below in cut.items()}
