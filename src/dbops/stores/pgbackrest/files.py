"""What lies in a repository, file by file: `repo-ls` and `repo-get` see what is really there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from dbops.config.model import Cluster
from dbops.errors import CouldNotVerify
from dbops.stores.pgbackrest.program import run


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the repository."""

    name: str  # below the path that was asked for
    size: int
    written: datetime


def ls(place: Cluster, path: str, *, target: str, repository: int = 1, timeout: float | None = 120) -> list[Listed]:
    """List all files below a path, such as `archive/main`; a path that is not there has none."""
    options = (f"--repo={repository}", "--output=json", "--recurse", "--log-level-console=off")
    done = run(place, "repo-ls", *options, path, target=target, connects=False, timeout=timeout)
    try:
        told = orjson.loads(done.out or b"{}")
        return [
            Listed(name, one["size"], datetime.fromtimestamp(one["time"], UTC))
            for name, one in told.items()
            if one["type"] == "file"
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CouldNotVerify(f"pgbackrest repo-ls told something that is not understood: {error!r}") from error


def sizes(
    place: Cluster, path: str, *, target: str, repository: int = 1, timeout: float | None = 120
) -> Iterator[tuple[str, int, int]]:
    """List all files below a path as plain tuples (name, size, seconds since 1970): an archive has 100,000."""
    options = (f"--repo={repository}", "--output=json", "--recurse", "--log-level-console=off")
    done = run(place, "repo-ls", *options, path, target=target, connects=False, timeout=timeout)
    try:
        told = orjson.loads(done.out or b"{}")
        return iter([(name, one["size"], one["time"]) for name, one in told.items() if one["type"] == "file"])
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
