"""Where a path really lies: which file system, and where in it, whatever links and bind mounts lead there; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Relation = Literal["is", "lies in", "contains"]


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of /proc/self/mountinfo: `root` of a file system is seen at `point`."""

    device: str
    root: str
    point: str


@dataclass(frozen=True, slots=True)
class Spot:
    """A place within a file system."""

    device: str
    path: str


def parse(text: str) -> tuple[Mount, ...]:
    """Read mountinfo; a later line hides an earlier one at the same point."""
    lines = (line.split(" ") for line in text.splitlines())
    return tuple(Mount(words[2], _plain(words[3]), _plain(words[4])) for words in lines if len(words) > 5)


def _plain(word: str) -> str:
    r"""Undo what mountinfo does to a space: `\040`."""
    return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), word.encode()).decode("utf-8", "replace")


def spot(path: str, mounts: Sequence[Mount], device: str | None = None) -> Spot:
    """Find the place of a path without links; `device` is what the file system itself tells."""
    over = [mount for mount in mounts if within(path, mount.point)]
    # What is mounted over a folder hides what was mounted below it: only the device tells which one is seen.
    seen = [mount for mount in over if mount.device == device] or over
    if not seen:
        return Spot(device or "", path)
    longest = max(len(mount.point) for mount in seen)
    mount = next(one for one in reversed(seen) if len(one.point) == longest)
    rest = PurePosixPath(path).relative_to(mount.point)
    return Spot(mount.device, str(PurePosixPath(mount.root) / rest))


def within(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def relation(one: Spot, other: Spot) -> Relation | None:
    """Tell how `one` lies to `other`; None when they have nothing in common."""
    if one.device != other.device:
        return None
    if one.path == other.path:
        return "is"
    if within(one.path, other.path):
        return "lies in"
    return "contains" if within(other.path, one.path) else None
