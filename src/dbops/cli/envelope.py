"""The one JSON form of every result: an envelope around plain data."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, cast

from dbops import units


def plain(value: Any) -> Any:
    """Turn a result dataclass into JSON's types: instants end in Z, durations become seconds (`*_s`)."""
    match value:
        case float() if not math.isfinite(value):
            return None  # JSON has no word for it
        case None | bool() | int() | float() if not isinstance(value, Enum):
            return value
        case Enum():
            return value.name.lower() if isinstance(value.value, int) else value.value
        case str():
            return value
        case datetime():
            return units.instant(value)
        case timedelta():
            return round(value.total_seconds(), 6)
        case Path():
            return str(value)
        case Mapping():
            told = cast("Mapping[Any, Any]", value)
            return {_key(str(key), inner): plain(inner) for key, inner in told.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [plain(inner) for inner in cast("Sequence[Any]", value)]
        case AbstractSet():
            return sorted((plain(inner) for inner in cast("AbstractSet[Any]", value)), key=str)
        case _ if dataclasses.is_dataclass(value):
            return {_field(f): plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case _:
            raise TypeError(f"{type(value).__name__} has no form in a result")


def _key(name: str, value: Any) -> str:
    return f"{name}_s" if isinstance(value, timedelta) and not name.endswith("_s") else name


def _field(field: dataclasses.Field[Any]) -> str:
    """Name a field by its type, not by today's value: a duration that is unknown keeps its `_s`."""
    timed = "timedelta" in str(field.type) and not field.name.endswith("_s")
    return f"{field.name}_s" if timed else field.name
