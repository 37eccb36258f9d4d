"""Rows as COPY reads them, and the tables that are made of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, cast

import orjson

from dbops.sandbox.seed.world import stamp

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_IN_ARRAYS = str.maketrans({"\\": "\\\\", '"': '\\"'})
_LINES = 2000


@dataclass(frozen=True, slots=True)
class Table:
    """One table and its rows. `lines` makes them anew each time it is called, the same ones."""

    name: str
    columns: tuple[str, ...]
    rows: int
    lines: Callable[[], Iterator[str]]
    months: tuple[date, ...] = ()  # that need a partition
    triggers: bool = True  # False: rows come without what its triggers would write beside them
    computed: Mapping[str, str] = field(default_factory=dict[str, str])  # columns that the server works out

    def blocks(self) -> Iterator[bytes]:
        """Yield the rows in blocks: memory does not grow with their number."""
        lines = self.lines()
        while block := list(islice(lines, _LINES)):
            block.append("")
            yield "\n".join(block).encode()


def table(  # they are the parts of a Table
    name: str,
    columns: str,
    count: int,
    rows: Callable[[], Iterable[tuple[Any, ...]]],
    *,
    triggers: bool = True,
    computed: Mapping[str, str] | None = None,
) -> Table:
    """Describe a table by rows of Python values."""
    return Table(
        name, tuple(columns.split()), count, lambda: map(line, rows()), triggers=triggers, computed=computed or {}
    )


def line(values: tuple[Any, ...]) -> str:
    return "\t".join(map(written, values))


def written(value: Any) -> str:
    """Write a value as COPY's text: dicts and lists are JSON, tuples are arrays."""
    match value:
        case None:
            return r"\N"
        case str():
            return value.translate(_ESCAPES)
        case bool():
            return "t" if value else "f"
        case int() | float() | Decimal():
            return str(value)
        case datetime():
            return stamp(value)
        case date():
            return str(value)
        case dict() | list():
            return json(value).translate(_ESCAPES)
        case tuple():
            told = cast("tuple[Any, ...]", value)
            inner = ",".join(f'"{str(one).translate(_IN_ARRAYS)}"' for one in told)
            return f"{{{inner}}}".translate(_ESCAPES)
        case _:
            raise TypeError(f"no column holds a {type(value).__name__}")


def json(value: Any) -> str:
    return orjson.dumps(value).decode()
