"""What `pgbackrest verify --output=text --verbose` says; its exit code means nothing; pure."""

import re
from dataclasses import dataclass

from dbops.operations.clusters.prove.facts import Told

_ARCHIVE = re.compile(r"\s*archiveId: (\S+), total WAL checked: (\d+), total valid WAL: (\d+)")
_BACKUP = re.compile(r"\s*backup: (\S+), status: ([^,]+), total files checked: (\d+), total valid files: (\d+)")
_COUNTS = re.compile(r"(missing|checksum invalid|size invalid|other): (\d+)")


@dataclass(frozen=True, slots=True)
class Said:
    """Everything that it says of one repository."""

    status: str  # empty: it said nothing
    archives: dict[str, Told]
    backups: dict[str, Told]


def parse(text: str) -> Said:
    """Read it; a line with counts belongs to the one before."""
    status = ""
    archives: dict[str, Told] = {}
    backups: dict[str, Told] = {}
    place: dict[str, Told] | None = None
    name = ""
    for line in text.splitlines():
        if match := _ARCHIVE.fullmatch(line):
            place, name = archives, match[1]
            place[name] = Told(match[2] == match[3], int(match[2]), int(match[3]), "")
        elif match := _BACKUP.fullmatch(line):
            place, name = backups, match[1]
            valid = match[2] == "valid" and match[3] == match[4] and match[3] != "0"
            place[name] = Told(valid, int(match[3]), int(match[4]), "")
        elif (counts := _COUNTS.findall(line)) and place is not None:
            before = place[name]
            wrong = [f"{what}: {count}" for what, count in counts if count != "0"]
            place[name] = Told(before.valid and not wrong, before.checked, before.good, ", ".join(wrong))
        elif line.strip().startswith("status: "):
            status = line.strip().removeprefix("status: ")
    return Said(status, archives, backups)
