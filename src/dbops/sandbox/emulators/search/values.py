"""Whether a value fits the type of its field, and how the service writes it back."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from dbops.sandbox.emulators.search.given import is_list, is_object

Check = Callable[[Any], Any]
"""Take a value as it was sent, return it as it is kept; raise Mismatch, Null or TooLong."""

_LONGEST_TERM = 32_766  # bytes of UTF-8
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(?:\.(\d{1,12}))?(Z|z|[+-]\d\d:\d\d)",
)
_RANGES = {
    "Edm.Int32": (-(2**31), 2**31 - 1),
    "Edm.Int64": (-(2**63), 2**63 - 1),
    "Edm.Int16": (-(2**15), 2**15 - 1),
    "Edm.SByte": (-(2**7), 2**7 - 1),
}
_LARGEST = {"Edm.Single": 3.4028235677973366e38, "Edm.Half": 65_519.0}
_NOT_FINITE = frozenset({"NaN", "INF", "-INF"})  # OData's words for what JSON numbers cannot say


class Mismatch(Exception):
    """A value that is none of its type."""

    def __init__(self, value: Any, expected: str) -> None:
        super().__init__(f"Cannot convert the literal '{_shown(value)}' to the expected type '{expected}'.")


class Null(Exception):
    """A null where the type has none."""

    def __init__(self, expected: str) -> None:
        super().__init__(
            f"A null value was found for a property which has the expected type '{expected}[Nullable=False]'. "
            f"The expected type '{expected}[Nullable=False]' does not allow null values."
        )


class WrongLength(Exception):
    """A vector of another length than its field's."""

    def __init__(self, wanted: int, given: int) -> None:
        super().__init__(
            f"There's a mismatch in vector dimensions. The vector field, with dimension of '{wanted}', expects a "
            f"length of '{wanted}'. However, the provided vector has a length of '{given}'."
        )


class TooLong(Exception):
    """A term that no index can hold; it fails its document alone."""

    def __init__(self) -> None:
        super().__init__(
            "The field contains a term that is too large to process. The max length for UTF-8 encoded terms is "
            f"{_LONGEST_TERM} bytes. The most likely cause is that filtering, sorting, or faceting is enabled on it."
        )


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check_of(field: dict[str, Any]) -> Check:
    """Build the check of a field that is not complex."""
    kind: str = field["type"]
    if field.get("dimensions") is not None:
        return _vector(kind[len("Collection(") : -1], field["dimensions"])
    if not kind.startswith("Collection("):
        return _single(kind, field)
    element = _single(kind[len("Collection(") : -1], field)
    return _each(element, kind)


def _single(kind: str, field: dict[str, Any]) -> Check:
    match kind:
        case "Edm.String":
            indexed = field["filterable"] or field["sortable"] or field["facetable"]
            return _term if indexed else _string
        case "Edm.Int32" | "Edm.Int64":
            return _integer(kind, *_RANGES[kind])
        case "Edm.Double":
            return _double
        case "Edm.Boolean":
            return _boolean
        case "Edm.DateTimeOffset":
            return date
        case "Edm.GeographyPoint":
            return _point
        case _:
            raise AssertionError(kind)


def _each(element: Check, kind: str) -> Check:
    def check(value: Any) -> Any:
        if value is None:
            raise Null(kind)
        if type(value) is not list:
            raise Mismatch(value, kind)
        if None in cast("list[Any]", value):
            raise Null(kind[len("Collection(") : -1])
        return [element(one) for one in cast("list[Any]", value)]

    return check


def _string(value: Any) -> Any:
    if value is None or type(value) is str:
        return value
    raise Mismatch(value, "Edm.String")


def _term(value: Any) -> Any:
    if value is None:
        return value
    if type(value) is not str:
        raise Mismatch(value, "Edm.String")
    if len(value) > _LONGEST_TERM // 4 and len(value.encode()) > _LONGEST_TERM:
        raise TooLong
    return value


def _integer(kind: str, least: int, most: int) -> Check:
    def check(value: Any) -> Any:
        if value is None or (type(value) is int and least <= value <= most):
            return value
        raise Mismatch(value, kind)

    return check


def _double(value: Any) -> Any:
    if type(value) is float or value is None:
        return value
    if type(value) is int:
        return float(value)
    if type(value) is str and value in _NOT_FINITE:
        return value
    raise Mismatch(value, "Edm.Double")


def _boolean(value: Any) -> Any:
    if value is None or value is True or value is False:
        return value
    raise Mismatch(value, "Edm.Boolean")


def date(value: Any) -> Any:
    """Bring a date to UTC and to milliseconds, as the service does: `2017-01-13T22:03:00Z`, `...09.755Z`."""
    if value is None:
        return None
    found = _DATE.fullmatch(value) if type(value) is str else None
    if found is None:
        raise Mismatch(value, "Edm.DateTimeOffset")
    minutes, seconds, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{minutes}{seconds or ':00'}{'+00:00' if zone in 'Zz' else zone}")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Mismatch(value, "Edm.DateTimeOffset") from None
    thousandths = (fraction or "")[:3].ljust(3, "0")
    # isoformat, because strftime does not fill years before 1000 with zeros.
    return moment.isoformat()[:19] + ("Z" if thousandths == "000" else f".{thousandths}Z")


def _point(value: Any) -> Any:
    """Take GeoJSON: longitude first."""
    if value is None:
        return None
    place = value.get("coordinates") if is_object(value) and value.get("type") == "Point" else None
    if (
        not is_list(place)
        or len(place) != 2
        or any(type(one) not in (int, float) for one in place)
        or not (-180 <= place[0] <= 180 and -90 <= place[1] <= 90)
    ):
        raise Mismatch(value, "Edm.GeographyPoint")
    crs = {"type": "name", "properties": {"name": "EPSG:4326"}}
    return {"type": "Point", "coordinates": [float(place[0]), float(place[1])], "crs": crs}


def _vector(kind: str, dimensions: int) -> Check:
    """Check thousands of numbers by what C does with the whole list."""
    whole = kind in _RANGES
    wanted = {int} if whole else {int, float}
    least, most = _RANGES[kind] if whole else (-_LARGEST[kind], _LARGEST[kind])
    collection = f"Collection({kind})"

    def check(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not list or not set(map(type, cast("list[Any]", value))) <= wanted:
            raise Mismatch(value, collection)
        numbers = cast("list[float]", value)
        if len(numbers) != dimensions:
            raise WrongLength(dimensions, len(numbers))
        if min(numbers) < least or max(numbers) > most or not math.isfinite(numbers[0]):
            raise Mismatch(value, collection)
        return numbers

    return check
