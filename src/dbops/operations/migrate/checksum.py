"""The checksum of a change: all that its shape says of it. A rehearsal and the production run are tied by it. Pure."""

import hashlib
import json
from dataclasses import astuple

from dbops.operations.migrate.shapes import belongings
from dbops.operations.migrate.shapes.shape import Shape


def of(change: str, shape: Shape) -> str:
    """Digest every statement of every phase; where the file stands, and what else is in it, does not count."""
    filling, old, carry = shape.filling(), shape.old_names(), belongings.carried(shape)
    told = [
        *([one.sql for one in phase(change)] for phase in (shape.expand, shape.undo, shape.contract)),
        *([one.sql for one in phase(change)] for phase in (shape.swap, shape.swap_back)),
        *([[one.sql for each in carry for one in belongings.build(change, each)]] if carry else []),
        None if filling is None else astuple(filling),
        [astuple(one) for one in shape.comparisons()],
        None if old is None else astuple(old),
    ]
    return hashlib.sha256(json.dumps([change, *told]).encode()).hexdigest()
