"""Find what is to come back: in the grace schema, loaded by a run that was killed, or in the vault."""

from dataclasses import replace

from dbops.copies import artifact
from dbops.errors import Refused
from dbops.operations.partitions import observe as looking
from dbops.operations.partitions import retire_queries as queries
from dbops.operations.partitions.facts import Facts
from dbops.operations.partitions.restore_facts import Kept, There, Wanted
from dbops.operations.partitions.retire_facts import KIND
from dbops.operations.partitions.retire_ledger import KINDS, Story, stories
from dbops.operations.partitions.wish import place
from dbops.stores import ledger
from dbops.stores.postgres import Connection
from dbops.stores.vault import Store

_NAMED = 4


def find(store: Store, target: str, name: str) -> Kept:
    """Find the copy that `name` means: a partition's newest one, or the one artifact that has it in its name."""
    found = [
        one
        for one in artifact.listing(store, f"postgres/{target}/")
        if isinstance(one, artifact.Artifact) and one.address.kind == KIND
    ]
    found.sort(key=lambda one: one.manifest.finished)
    named = [one for one in found if name in (one.manifest.extra["name"], _label(one))]
    if not named:
        named = [one for one in found if name.strip("/") in one.address.folder]
    if len({_label(one) for one in named}) == 1:
        return _kept(named[-1])
    some = ", ".join(sorted({_label(one) for one in named or found})[:_NAMED]) or "none"
    told = f"{name!r} means several copies" if named else f"there is no copy of a partition {name!r}"
    raise Refused(told, hint=f"among them: {some}; dbops vault list --kind partition", target=target)


def _label(one: artifact.Artifact) -> str:
    return f"{one.manifest.extra['schema']}.{one.manifest.extra['name']}"


def _kept(one: artifact.Artifact) -> Kept:
    extra = one.manifest.extra
    return Kept(
        one.address.folder,
        extra["schema"],
        extra["name"],
        extra["parent"],
        extra["bound"],
        str(one.manifest.digest),
        one.manifest.counts["rows"],
        tuple((name, kind) for name, kind in extra["columns"]),
        tuple(extra["key"]),
    )


def observe(connection: Connection, kept: Kept, *, target: str, attached: bool) -> Wanted:
    facts = looking.observe(connection, target=target, asked=[place(kept.parent)], shapes=True)
    parent = facts.parent(place(kept.parent))
    wanted = Wanted(target, kept, attached, parent, standby=facts.standby)
    wanted = replace(wanted, ledger=ledger.install(facts.ledger, owner=connection.info.user))
    if parent is not None:
        span, _ = looking.parse(kept.bound)
        same = [one for one in parent.attached if one.name == kept.name and one.span == span]
        taken = [".".join(one.place) for one in parent.partitions if one not in same and one.span.meets(span)]
        ours = {name for (name,) in connection.execute(_COLUMNS, (parent.oid,)).fetchall()}
        lacking = tuple(name for name, _ in kept.columns if name not in ours)
        keys = connection.execute(_FOREIGN_KEYS, (parent.oid,)).fetchall()
        wanted = replace(wanted, is_attached=bool(same), overlaps=tuple(taken), lacking=lacking)
        wanted = replace(wanted, foreign_keys=tuple((name, told) for name, told in keys))
    return replace(wanted, there=_there(connection, facts, wanted))


_FOREIGN_KEYS = """
    SELECT conname, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
     WHERE conrelid = %s AND contype = 'f' AND conparentid = 0 ORDER BY conname"""
_COLUMNS = "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped"


def _there(connection: Connection, facts: Facts, wanted: Wanted) -> There | None:
    """Find the table by what the ledger tells of it: names alone could be those of anything."""
    if facts.ledger is None:
        return None
    entries = connection.execute(queries.ENTRIES, (wanted.target, list(KINDS))).fetchall()
    for oid, story in reversed(stories(entries).items()):
        if not _is(story, wanted.kept):
            continue
        row = connection.execute(queries.STILL, (oid,)).fetchone()
        if row is not None and row[2] is None:
            return There(oid, row[0], row[1])
    return None


def _is(story: Story, kept: Kept) -> bool:
    told = (story.home, story.name, story.parent)
    return (story.left or story.loaded) and told == (kept.home, kept.name, kept.parent)
