"""What dbops calls the triggers, functions and constraints that it puts into a database while a change is open. Pure.

PostgreSQL fires triggers in the order of the bytes of their names: `~` comes after every letter, `!` before each.
"""

import hashlib

_LONGEST = 63  # bytes of a name in PostgreSQL; what is longer would be cut in silence
_HASH = 8

LAST = "~dbops"
FIRST = "!dbops"


def name(kind: str, change: str, table: str, *, prefix: str = LAST) -> str:
    """Name one thing: the same for the same change and table, another one for any other."""
    whole = f"{prefix}_{kind}_{change}_{table}".replace('"', "")
    if whole == f"{prefix}_{kind}_{change}_{table}" and len(whole.encode()) <= _LONGEST:
        return whole
    told = hashlib.sha256(f"{kind}\0{change}\0{table}".encode()).hexdigest()[:_HASH]
    room = _LONGEST - _HASH - 1
    return f"{whole.encode()[:room].decode(errors='ignore')}_{told}"


def is_ours(trigger: str) -> bool:
    """Say whether a trigger, function or constraint was made by a change."""
    return trigger.startswith((f"{LAST}_", f"{FIRST}_"))
