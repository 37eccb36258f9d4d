"""Time as a line: backups, what is within reach, what is missing, now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dbops.cli.screen import Line, Tone

if TYPE_CHECKING:
    from dbops.operations.clusters.reach.facts import Interval, Window

_LEAST = timedelta(seconds=1)
_LABEL = 12
_NARROWEST = 30
_WIDEST = 200


@dataclass(frozen=True, slots=True)
class Marks:
    """What a line is drawn with."""

    reach: str
    gap: str
    end: str
    now: str
    axis: str
    tick: str


PLAIN = Marks("=", "x", ">", "|", "-", "+")
DRAWN = Marks("━", "×", "▶", "│", "─", "┬")  # noqa: RUF001  # a cross, drawn


@dataclass(frozen=True, slots=True)
class Axis:
    """From when to when, on how many columns."""

    first: datetime
    last: datetime
    width: int

    def column(self, moment: datetime) -> int:
        part = (moment - self.first) / max(self.last - self.first, _LEAST)
        return min(self.width - 1, max(0, int(part * self.width)))


def line(window: "Window", width: int, *, unicode: bool) -> list[Line]:
    """Draw the window on lines of a width; nothing to draw is no line."""
    moments = [one.since.at for one in window.intervals] + [one.stopped for one in window.backups]
    if not moments:
        return []
    marks = DRAWN if unicode else PLAIN
    axis = Axis(min(moments), window.now, max(_NARROWEST, min(width, _WIDEST) - _LABEL - 1))
    keys = sorted({(one.repository, one.timeline) for one in window.intervals})
    several = len({repository for repository, _ in keys}) > 1
    drawn = [_row("backups", _backups(window, axis))]
    for repository, timeline in keys:
        mine = [one for one in window.intervals if (one.repository, one.timeline) == (repository, timeline)]
        name = f"repo{repository} tl {timeline}" if several else f"timeline {timeline}"
        drawn.append(_row(name, _stretches(mine, axis, marks)))
    return [*drawn, *_scale(axis, marks)]


def _row(name: str, cells: Sequence[str]) -> Line:
    return Line(f"{name:<{_LABEL}}" + "".join(cells).rstrip())


def _backups(window: "Window", axis: Axis) -> list[str]:
    """Draw each set by its letter; where several fall on one column, the fullest; one that is broken is small."""
    cells = [" "] * axis.width
    order = "FDI"
    for one in sorted(window.backups, key=lambda one: order.find(one.kind[:1].upper()), reverse=True):
        letter = one.kind[:1].upper()
        cells[axis.column(one.stopped)] = letter if one.complete else letter.lower()
    return cells


def _stretches(intervals: Sequence["Interval"], axis: Axis, marks: Marks) -> list[str]:
    cells = [" "] * axis.width
    for number, one in enumerate(intervals):
        end = one.until.at if one.until is not None else one.since.at
        first, last = axis.column(one.since.at), axis.column(end)
        cells[first : last + 1] = [marks.reach] * (last + 1 - first)
        if one.gap is not None:
            later = intervals[number + 1].since.at if number + 1 < len(intervals) else axis.last
            until = max(last + 1, axis.column(later))
            cells[last + 1 : until] = [marks.gap] * (min(until, axis.width) - last - 1)
            if last + 1 >= until:  # shorter than a column, and still there
                cells[last] = marks.gap
        elif not one.abandoned:
            cells[last] = marks.end
    return cells[: axis.width]


def _scale(axis: Axis, marks: Marks) -> list[Line]:
    """Write as many moments under the line as fit."""
    tell = _teller(axis.last - axis.first)
    sample = len(tell(axis.first)) + 2
    count = max(1, (axis.width - 6) // sample)
    rule = [marks.axis] * axis.width
    words = [" "] * axis.width
    for number in range(count):
        at = number * sample
        rule[at] = marks.tick
        text = tell(axis.first + (axis.last - axis.first) * (at / axis.width))
        words[at : at + len(text)] = text
    words[-3:] = "now"
    rule[-1] = marks.now
    blank = " " * _LABEL
    return [Line(blank + "".join(rule), Tone.FAINT), Line(blank + "".join(words[: axis.width]), Tone.FAINT)]


def _teller(span: timedelta) -> Callable[[datetime], str]:
    """Tell moments as closely as the span needs, in UTC."""
    if span > timedelta(days=3):
        return lambda moment: f"{moment:%m-%d %Hh}"
    if span > timedelta(hours=3):
        return lambda moment: f"{moment:%d. %H:%M}"
    return lambda moment: f"{moment:%H:%M:%S}"
