"""Where a server's socket lives: sockets cannot collide as ports do, but their paths hold 107 bytes.

A path that is too long, or holds what conninfo strings give a meaning to (a comma is a list of hosts),
is replaced by a private short folder in the machine's temporary folder. Its name is recorded first and
made second, so that a killed run leaves nothing that nobody knows of.
"""

import re
import secrets
import tempfile
from pathlib import Path

from dbops.errors import Refused
from dbops.servers import account

LONGEST = 107
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")
_PRIVATE = re.compile(r"dbops-[0-9a-f]{12}")
_RECORD = "socket-folder"


def folder(home: Path, socket_name: str) -> Path | None:
    """Say where the socket of the server in `home` is, or None before there is a place for it."""
    own = home / "run"
    if _fits(own, socket_name):
        return own
    return _recorded(home)


def prepare(home: Path, socket_name: str) -> Path:
    """Make the place for the socket of the server in `home`."""
    own = home / "run"
    if _fits(own, socket_name):
        return account.make_folder(own)
    place = _recorded(home)
    if place is None or (place.exists() and not _is_ours(place)):
        place = _temporary(socket_name) / f"dbops-{secrets.token_hex(6)}"
        account.write_file(home / _RECORD, f"{place}\n")
    return account.make_folder(place)


def remove(home: Path) -> None:
    """Remove the private folder of `home`, if it has one; its name is kept, and used again."""
    if (place := private(home)) is not None:
        account.remove_folder(place)


def private(home: Path) -> Path | None:
    """Name the private folder of `home` while it is there."""
    place = _recorded(home)
    return place if place is not None and _is_ours(place) else None


def _fits(place: Path, socket_name: str) -> bool:
    whole = str(place / socket_name)
    return len(whole.encode()) <= LONGEST and _PLAIN.fullmatch(whole) is not None


def _recorded(home: Path) -> Path | None:
    try:
        place = Path((home / _RECORD).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return None
    return place if place.is_absolute() and _PRIVATE.fullmatch(place.name) else None


def _is_ours(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink() and place.stat().st_uid == account.uid()


def _temporary(socket_name: str) -> Path:
    for candidate in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108
        place = candidate / "dbops-000000000000"
        if candidate.is_dir() and _fits(place, socket_name) and account.closed_parent(place) is None:
            return candidate
    raise Refused("no temporary folder can hold a socket", hint="set TMPDIR to a short path that all may enter")
