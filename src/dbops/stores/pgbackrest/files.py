"""What lies in a repository, file by file: `repo-ls` and `repo-get` see what is really there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from dbops.config.model import Cluster
from dbops.errors import CouldNotVerify
from dbops.stores.pgbackrest.program import run

_PLAIN = rb'"([ !#-\[\]-~]*)"'  # what JSON need not escape
_ENTRY = re.compile(_PLAIN + rb':\{"type":(?:"file","size":(\d+),"time":(\d+)|"path")\}')


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the repository."""

    name: str  # below the path that was asked for
    size: int
    written: datetime


def ls(place: Cluster, path: str, *, target: str, repository: int = 1, timeout: float | None = 120) -> list[Listed]:
    """List all files below a path, such as `archive/main`; a path that is not there has none."""
    found = sizes(place, path, target=target, repository=repository, timeout=timeout)
    return [Listed(name, size, datetime.fromtimestamp(written, UTC)) for name, size, written in found]


def sizes(
    place: Cluster, path: str, *, target: str, repository: int = 1, timeout: float | None = 120
) -> Iterator[tuple[str, int, int]]:
    """List all files below a path as plain tuples (name, size, seconds since 1970): an archive has 100,000."""
    options = (f"--repo={repository}", "--output=json", "--recurse", "--log-level-console=off")
    raw = bytearray()
    run(place, "repo-ls", *options, path, target=target, connects=False, timeout=timeout, on_block=raw.extend)
    return iter(listed(raw))


def listed(raw: bytes | bytearray) -> list[tuple[str, int, int]]:
    """Read the files in the JSON of `repo-ls`, without an object for each of 100,000, as long as they look alike."""
    found: list[tuple[str, int, int]] = []
    at, end = 1, len(raw) - 1
    while at < end and (match := _ENTRY.match(raw, at)):
        at = match.end() + raw.startswith(b",", match.end())
        if match[2] is not None:
            found.append((match[1].decode("ascii"), int(match[2]), int(match[3])))
    if raw[:1] == b"{" and raw[at:].strip() == b"}":
        return found
    try:
        told = orjson.loads(raw or b"{}")
        return [(name, one["size"], one["time"]) for name, one in told.items() if one["type"] == "file"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CouldNotVerify(f"pgbackrest repo-ls told something that is not understood: {error!r}") from error


def get(
    place: Cluster, path: str, *, target: str, repository: int = 1, raw: bool = False, timeout: float | None = 120
) -> bytes:
    """Read a small file of the repository: decrypted, unless `raw`; never decompressed."""
    options = (f"--repo={repository}", "--log-level-console=off", *(("--raw",) if raw else ()))
    data = bytearray()  # not as lines: each of them would be searched for secrets
    run(place, "repo-get", *options, path, target=target, connects=False, timeout=timeout, on_block=data.extend)
    return bytes(data)
