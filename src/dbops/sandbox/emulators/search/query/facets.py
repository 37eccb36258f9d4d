"""Facets: how many of the found documents have which value."""

import bisect
import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dbops.sandbox.emulators.search.query.fields import COMPLEX, DATE, DOUBLE, INTEGERS, Field, Schema
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.source import Source
from dbops.sandbox.emulators.search.query.table import column
from dbops.sandbox.emulators.search.query.values import decode, encode

_DEFAULT = 10
_ORDERS = {
    "count": "many DESC, v",
    "-count": "many, v",
    "value": "v",
    "-value": "v DESC",
}
_PERIODS = ("minute", "hour", "day", "week", "month", "quarter", "year")
_NUMBERS = (DOUBLE, *INTEGERS)


@dataclass(frozen=True, slots=True)
class Facet:
    field: Field
    count: int = _DEFAULT
    sort: str = "count"
    values: tuple[Any, ...] = ()
    interval: float | str | None = None


def read(schema: Schema, asked: Any) -> list[Facet]:
    """Understand the facet expressions of a request."""
    if asked is None:
        return []
    if not isinstance(asked, list):
        raise Invalid("The parameter 'facets' must be an array of strings.")
    return [_facet(schema, str(text)) for text in asked]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def count(connection: sqlite3.Connection, schema: Schema, source: Source, facet: Facet) -> list[dict[str, Any]]:
    """Count one facet over all matches; documents without a value are in no bucket."""
    rows = _values(schema, source, facet.field)
    many = "count(DISTINCT n)" if facet.field.repeated else "count(*)"
    grouped = f"SELECT v, {many} AS many FROM ({rows}) WHERE v IS NOT NULL GROUP BY v"  # noqa: S608
    if facet.values or facet.interval is not None:
        if facet.field.repeated:
            raise Unsupported("facets by interval or ranges on collections")
        return _buckets(facet, connection.execute(grouped, source.values).fetchall())
    found = connection.execute(f"{grouped} ORDER BY {_ORDERS[facet.sort]} LIMIT ?", [*source.values, facet.count])
    return [{"count": many, "value": decode(facet.field.type, value)} for value, many in found]


def _values(schema: Schema, source: Source, field: Field) -> str:
    """Select pairs of row and value: a collection gives one for each element."""
    tables, place, inside = source.tables, "", list[str]()
    fields, names = schema.fields, field.path.split("/")
    for depth, name in enumerate(names):
        at = next(one for one in fields if one.name == name)
        fields = at.children
        if place:
            inside.append(name)
        if at.collection or (not place and at.type != COMPLEX):
            if not place:
                place = f"d.{column(at)}"
            elif inside:
                place = _extracted(place, inside)
            if at.collection:
                alias = f"f{depth}"
                tables = f"{tables}, json_each({place}) {alias}"
                place = f"{alias}.value"
            inside = []
    value = _extracted(place, inside) if inside else place
    return f"SELECT d.n AS n, {value} AS v FROM {tables} WHERE {source.where}"  # noqa: S608


def _extracted(place: str, inside: list[str]) -> str:
    path = "".join(f'."{name}"' for name in inside)
    return f"json_extract({place}, '${path}')"


def _buckets(facet: Facet, found: list[tuple[Any, int]]) -> list[dict[str, Any]]:
    numbers = [(value, many) for value, many in found if isinstance(value, int)]  # NaN lies in no interval
    if facet.values:
        return _ranges(facet, numbers)
    kind = facet.field.type
    counted: Counter[Any] = Counter()
    for value, many in numbers:
        counted[_lower(kind, decode(kind, value), facet.interval)] += many
    return [{"count": many, "value": value} for value, many in sorted(counted.items())]


def _ranges(facet: Facet, numbers: list[tuple[int, int]]) -> list[dict[str, Any]]:
    kind = facet.field.type
    limits = [_number(encode(kind, value)) for value in facet.values]
    counts = [0] * (len(limits) + 1)
    for value, many in numbers:
        counts[bisect.bisect_right(limits, value)] += many
    told: list[dict[str, Any]] = []
    for place, many in enumerate(counts):
        bucket: dict[str, Any] = {"count": many}
        if place > 0:
            bucket["from"] = facet.values[place - 1]
        if place < len(facet.values):
            bucket["to"] = facet.values[place]
        told.append(bucket)
    return told


def _number(value: int | str | None) -> int:
    if not isinstance(value, int):
        raise Invalid("Invalid facet: the limits of ranges must be numbers or instants.")
    return value


def _lower(kind: str, value: Any, interval: float | str | None) -> Any:
    if isinstance(interval, str):
        return _period(datetime.fromisoformat(value), interval).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not isinstance(value, int | float) or interval is None:
        raise Unsupported("facets by interval over infinite values")
    lower = value // interval * interval
    return int(lower) if kind in INTEGERS else lower


def _period(moment: datetime, period: str) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "week":
            return day - timedelta(days=(day.weekday() + 1) % 7)
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
        case "year":
            return day.replace(day=1, month=1)
        case _:
            return day


def _facet(schema: Schema, text: str) -> Facet:
    if any(mark in text for mark in "(){}>;"):
        raise Unsupported("hierarchical and aggregating facets")
    path, *options = (part.strip() for part in text.split(","))
    field = schema.by_path.get(path)
    if field is None:
        raise Invalid(f"Invalid facet expression: Could not find a property named '{path}' on type 'search.document'.")
    if not field.facetable or not field.has_column or field.type == COMPLEX:
        raise Invalid(f"Invalid facet expression: '{path}' is not a facetable field.")
    field.must_be_exact()
    told: dict[str, str] = {}
    for option in options:
        name, colon, value = option.partition(":")
        if not colon or name.strip() not in ("count", "sort", "values", "interval"):
            if name.strip() in ("timeoffset", "metric"):
                raise Unsupported(f"the facet option {name.strip()}")
            raise Invalid(f"Invalid facet expression: '{option}' in '{text}'.")
        told[name.strip()] = value.strip()
    if len(told) > 1 and told.keys() & {"values", "interval"}:
        raise Invalid(
            f"Invalid facet expression: 'values' and 'interval' cannot be combined with other options: '{text}'."
        )
    return Facet(
        field,
        count=_count(told.get("count", str(_DEFAULT)), text),
        sort=_sort(told.get("sort", "count"), text),
        values=_limits(field, told["values"], text) if "values" in told else (),
        interval=_interval(field, told["interval"], text) if "interval" in told else None,
    )


def _count(value: str, text: str) -> int:
    if not value.isdecimal():
        raise Invalid(f"Invalid facet expression: 'count' must be a positive number: '{text}'.")
    if int(value) == 0:
        raise Unsupported("facets with count:0")
    return int(value)


def _sort(value: str, text: str) -> str:
    if value not in _ORDERS:
        raise Invalid(f"Invalid facet expression: 'sort' must be count, -count, value or -value: '{text}'.")
    return value


def _limits(field: Field, told: str, text: str) -> tuple[Any, ...]:
    if field.type not in (DATE, *_NUMBERS):
        raise Invalid(f"Invalid facet expression: ranges need a number or an instant: '{text}'.")
    try:
        if field.type == DATE:
            limits = tuple(decode(DATE, encode(DATE, part)) for part in told.split("|"))
        else:
            limits = tuple(float(part) if field.type == DOUBLE else int(part) for part in told.split("|"))
    except ValueError as error:
        raise Invalid(f"Invalid facet expression: the values of '{text}' do not fit the field.") from error
    if list(limits) != sorted(limits):
        raise Invalid(f"Invalid facet expression: the values of '{text}' must be in ascending order.")
    return limits


def _interval(field: Field, told: str, text: str) -> float | str:
    if field.type == DATE:
        if told not in _PERIODS:
            raise Invalid(f"Invalid facet expression: the interval of '{text}' must be one of {', '.join(_PERIODS)}.")
        return told
    try:
        size = float(told) if field.type == DOUBLE else int(told)
    except ValueError as error:
        raise Invalid(f"Invalid facet expression: the interval of '{text}' does not fit the field.") from error
    if field.type not in _NUMBERS or not size > 0:
        raise Invalid(
            f"Invalid facet expression: the interval of '{text}' must be a positive number on a numeric field."
        )
    return size
