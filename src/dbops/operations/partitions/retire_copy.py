"""The copy of a partition in the vault: written, read back, and compared with the table as often as it takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dbops.copies import age, artifact, rows
from dbops.copies.digest import Digest
from dbops.engine import clock
from dbops.engine.finding import Finding
from dbops.errors import CouldNotVerify, Refused, VerifiedBad
from dbops.operations.partitions import retire_queries as queries
from dbops.operations.partitions.retire_facts import KIND, Copied, Part
from dbops.stores.postgres import Connection
from dbops.stores.vault import Store

FILE = "rows.copy"


@dataclass(frozen=True, slots=True)
class Vaulted:
    """The vault as this operation uses it; opened when it is needed first."""

    store: Callable[[], Store]
    recipients: tuple[str, ...] = ()
    identity: Callable[[], str | None] = field(default=lambda: None)


def may_be_read_back(vaulted: Vaulted, target: str) -> None:
    """Refuse before anything is written: what nobody here can decrypt cannot be compared, so nothing may follow it."""
    if not vaulted.recipients:
        return
    identity = vaulted.identity()
    if identity is None or not age.can_read_back(vaulted.recipients, identity):
        raise CouldNotVerify(
            "the vault encrypts, and no identity here can read a copy back: nothing is dropped on trust",
            hint="name the identity of one of its recipients in [vault] identity",
            target=target,
        )


def exported(
    connection: Connection, part: Part, vaulted: Vaulted, *, parent: str, column: str, target: str, run: str
) -> tuple[Copied, tuple[Finding, ...]]:
    """Copy a partition to the vault and read the copy back; one that a killed run has finished is taken as it is."""
    may_be_read_back(vaulted, target)
    row = connection.execute(queries.SOURCE).fetchone()
    if row is None:
        raise Refused("the server does not tell its system identifier", target=target)
    source, version = f"{row[0]}/{part.oid}", str(row[1])
    store = vaulted.store()
    shape = rows.observe(connection, part.oid, schema=part.schema, table=part.name)
    if not shape.columns:
        raise Refused(f"{part.label} was dropped meanwhile", hint="run again: it plans what is left", target=target)
    left = _finished(store, source, target, connection, shape)
    if left is not None:
        return _read_back(store, left, vaulted), ()
    subject = artifact.Subject("postgres", target, KIND, source, clock.now())
    about = {"schema": part.home, "name": part.name, "parent": parent, "bound": part.bound}
    with artifact.write(store, subject, run=run, recipients=vaulted.recipients, identity=vaulted.identity()) as writer:
        if FILE not in writer.done:
            with writer.file(FILE, count=0) as sink, rows.snapshot(connection):
                total = rows.export(connection, shape, sink.write)
                span = rows.range_of(connection, shape, column)
                sink.extra |= {"digest": str(total), "min": span.low, "max": span.high}
        done = writer.done[FILE]
        writer.finish(
            files=[FILE],
            counts={"rows": done.count or 0},
            digest=str(done.extra["digest"]),
            store_version=version,
            extra=about | _described(shape, column) | {"min": done.extra["min"], "max": done.extra["max"]},
        )
    found = artifact.find(store, writer.folder)
    if not isinstance(found, artifact.Artifact):
        raise VerifiedBad(f"{writer.folder} was written and is not there", target=target)
    return _read_back(store, found, vaulted), tuple(writer.findings)


def _described(shape: rows.Shape, column: str) -> dict[str, Any]:
    """Tell what it takes to bring the rows back where their table is gone."""
    columns = [[one.name, one.type] for one in shape.columns]
    return {"columns": columns, "key": list(shape.key), "column": column}


def _finished(
    store: Store, source: str, target: str, connection: Connection, shape: rows.Shape
) -> artifact.Artifact | None:
    """Find a copy of this very partition that holds what it holds now: no second one is needed."""
    found = [
        one
        for one in artifact.listing(store, f"postgres/{target}/")
        if isinstance(one, artifact.Artifact)
        and one.address.kind == KIND
        and one.manifest.subject.source == source
        and one.manifest.digest is not None
    ]
    if not found:
        return None
    now = str(digest(connection, shape))
    same = [one for one in found if one.manifest.digest == now]
    return max(same, key=lambda one: one.manifest.finished, default=None)


def _read_back(store: Store, found: artifact.Artifact, vaulted: Vaulted) -> Copied:
    compared(store, found, vaulted)
    manifest = found.manifest
    return Copied(found.address.folder, str(manifest.digest), manifest.counts["rows"])


def compared(store: Store, found: artifact.Artifact, vaulted: Vaulted) -> None:
    """Read a copy's content and compare it with its own digest and number of rows."""
    manifest = found.manifest
    total = rows.digest_of(artifact.read(store, found, FILE, identity=vaulted.identity()))
    if str(total) != manifest.digest or total.count != manifest.counts["rows"]:
        told = f"{found.address.folder} was read back and holds other rows than were written"
        raise VerifiedBad(told, hint="check the disk or service below the vault", target=found.address.target)


def still_whole(copied: Copied, vaulted: Vaulted, *, target: str) -> None:
    """Read the copy once more, just before the table goes."""
    store = vaulted.store()
    found = artifact.find(store, copied.folder)
    if not isinstance(found, artifact.Artifact) or found.manifest.digest != copied.digest:
        told = f"{copied.folder} is no longer in the vault as it was written; nothing was dropped"
        raise VerifiedBad(told, hint="run again: it is exported anew", target=target)
    compared(store, found, vaulted)


def digest(connection: Connection, shape: rows.Shape) -> Digest:
    with rows.snapshot(connection):
        return rows.digest(connection, shape)
