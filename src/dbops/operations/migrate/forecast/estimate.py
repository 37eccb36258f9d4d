"""How long it takes, as a range: rows and bytes of the real table, times what was measured for a million rows.

The lower end is what the statement took in memory; the upper end four times that, and the table read from a slow disk.
"""

from collections.abc import Mapping

from dbops.operations.migrate.forecast.codes import Cost
from dbops.operations.migrate.forecast.facts import Size

_DISK = 100_000_000  # bytes in a second: a slow network disk
_SLOWER = 4.0
# seconds for a row; and how often the bytes of the table go over the disk
_ROW: Mapping[Cost, tuple[float, int]] = {
    "brief": (0.0, 0),
    "scan": (0.07e-6, 1),
    "build": (0.6e-6, 1),  # an index
    "rewrite": (0.5e-6, 2),  # without its indexes
    "change": (2.5e-6, 4),
}
BRIEF_S = 0.01
TINY_S = 0.1  # nobody notices


def seconds(cost: Cost, size: Size) -> tuple[float, float]:
    """Return the range; a rewrite builds every index anew."""
    each, passes = _ROW[cost]
    if cost == "rewrite":
        each += size.indexes * _ROW["build"][0]
    low = size.rows * each
    return low, BRIEF_S + low * _SLOWER + passes * size.bytes / _DISK


def told(low: float, high: float) -> str:
    if high < TINY_S:
        return "under 0.1 s"
    if round(low, 1) == round(high, 1):
        return f"about {_number(high)} s"
    return f"{_number(low)} to {_number(high)} s"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"  # beyond, tenths mean nothing
