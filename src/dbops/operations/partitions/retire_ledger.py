"""What the ledger tells of partitions on their way out: facts that no catalog holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dbops.operations.partitions.retire_facts import Copied

EXPORTED = "PartitionExported"
LEFT = "PartitionLeft"  # about to be detached: from here on it is found although it hangs on no table
SEALED = "PartitionSealed"
AGREED = "PartitionAgreed"
SHELVED = "PartitionShelved"
DROPPED = "PartitionDropped"
LOADED = "PartitionLoaded"  # brought back from its copy, into a table of its own
RESTORED = "PartitionRestored"  # a part of its table again
KINDS = (EXPORTED, LEFT, SEALED, AGREED, SHELVED, DROPPED, LOADED, RESTORED)


@dataclass(frozen=True, slots=True)
class Story:
    """One partition's entries, added up. The oid is the key: names may change, and come again."""

    home: str = ""
    name: str = ""
    parent: str = ""
    bound: str = ""
    copied: Copied | None = None
    left: bool = False
    loaded: bool = False
    sealed: bool = False
    agreed: bool = False
    grace_since: datetime | None = None
    restored: datetime | None = None


def stories(entries: Iterable[tuple[datetime, str, Mapping[str, Any]]]) -> dict[int, Story]:
    """Add up the entries of a database, oldest first."""
    found: dict[int, Story] = {}
    for at, kind, detail in entries:
        oid = int(detail["oid"])
        found[oid] = _after(found.get(oid, Story()), at, kind, detail)
    return found


def _after(story: Story, at: datetime, kind: str, detail: Mapping[str, Any]) -> Story:
    match kind:
        case "PartitionExported":
            # a new copy means that the old one was wrong: the grace begins anew, after another comparison
            copied = Copied(detail["folder"], detail["digest"], int(detail["rows"]))
            return replace(story, copied=copied, agreed=False, grace_since=None)
        case "PartitionLeft":
            return replace(_told(detail), copied=story.copied, left=True)
        case "PartitionLoaded":
            return replace(_told(detail), loaded=True)
        case "PartitionSealed":
            return replace(story, sealed=True, agreed=False)
        case "PartitionAgreed":
            return replace(story, agreed=True)
        case "PartitionShelved":
            return replace(story, grace_since=at)
        case "PartitionRestored":
            return Story(restored=at)
        case _:
            return story


def _told(detail: Mapping[str, Any]) -> Story:
    return Story(str(detail["home"]), str(detail["name"]), str(detail["parent"]), str(detail["bound"]))
