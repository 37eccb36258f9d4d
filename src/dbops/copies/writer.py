"""Writing an artifact: each file complete with its record, the manifest last, all of it read back.

Whoever writes holds the lock of the target's verb: two writers of one artifact would mix their files.
"""

import re
import socket
from collections.abc import Collection, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import dbops
from dbops import units
from dbops.config.model import Tier
from dbops.copies import age, streams
from dbops.copies.catalogue import Construction, groups, look
from dbops.copies.manifest import (
    CONSTRUCTION,
    MANIFEST,
    RECORDS,
    VERIFIED,
    Begun,
    File,
    Manifest,
    Record,
    Subject,
    opened,
    sealed,
)
from dbops.engine import clock, stop
from dbops.engine.finding import Finding, Severity
from dbops.errors import ConfigInvalid, Refused, VerifiedBad
from dbops.stores.vault import Absent, AlreadyThere, Store

COMPRESSIONS = ("zstd", "none")
_OFFLINE = ("archive", "glacier", "deep_archive")  # thawing takes hours: what is there cannot be read back
ABANDONED_AFTER = timedelta(hours=24)
_OURS = (MANIFEST, CONSTRUCTION, RECORDS, VERIFIED)
_NAME = re.compile(r"[A-Za-z0-9_][\w.=@+-]*(/[A-Za-z0-9_][\w.=@+-]*)*", re.ASCII)


class Sink:
    """A file of an artifact while it is written."""

    def __init__(self, shaping: streams.Shaping, count: int | None, extra: Mapping[str, Any] | None) -> None:
        self._shaping = shaping
        self.count = count
        self.extra: dict[str, Any] = dict(extra or {})  # kept with the file, for whoever continues

    def write(self, data: bytes, count: int | None = None) -> None:
        """Add content; `count` is how many records it holds."""
        stop.check()
        if count is not None:
            self.count = (self.count or 0) + count
        self._shaping.write(data)


class Writer:
    """An artifact under construction. Several threads may write different files of it at once."""

    def __init__(self, vault: Store, folder: str, begun: Begun, run: str, storage_class: str | None) -> None:
        self._vault, self._run, self._storage_class = vault, run, storage_class
        self.folder, self.begun = folder, begun
        self.findings: list[Finding] = []
        self._records: dict[str, bytes] = {}
        self.done: dict[str, File] = {}  # what is complete already, by name

    @property
    def subject(self) -> Subject:
        """Of the run that began it: its instant is the artifact's."""
        return self.begun.subject

    @contextmanager
    def file(
        self,
        name: str,
        *,
        count: int | None = None,
        compression: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Generator[Sink]:
        """Write one file; it is complete when the block ends well, and was never there when it does not."""
        if not _NAME.fullmatch(name) or name.startswith(_OURS):
            raise ValueError(f"{name!r} is no name for a file of an artifact")
        if name in self.done:
            raise ValueError(f"{name} is complete already")
        shape = compression or self.begun.compression
        encrypted = bool(self.begun.recipients)
        stored = name + (".zst" if shape == "zstd" else "") + (".age" if encrypted else "")
        with self._vault.writing(self.folder + stored, storage_class=self._storage_class) as target:
            shaping = streams.Shaping(
                streams.Stored(target.write), compress=shape == "zstd", recipients=self.begun.recipients
            )
            try:
                sink = Sink(shaping, count, extra)
                yield sink
                content, kept, pieces = shaping.close()
            except BaseException:
                shaping.abandon()
                raise
        whole = File(
            name, content.size, content.sha256, stored, kept.size, kept.sha256, shape, encrypted, sink.count, sink.extra
        )
        self._keep(Record(whole, streams.PIECE, pieces))

    def finish(
        self,
        *,
        files: Collection[str] | None = None,
        counts: Mapping[str, int] | None = None,
        digest: str | None = None,
        store_version: str | None = None,
        extra: Mapping[str, Any] | None = None,
        read_back: bool = True,
    ) -> Manifest:
        """Compare what the vault gives back, then write the manifest: from here on the artifact exists.

        `files` names what it must hold and leaves out the rest; default: all that is complete.
        """
        missing = sorted(set(files or ()) - set(self.done))
        if missing:
            told = f"{self.folder} lacks {', '.join(missing)}"
            raise Refused(told, hint="run the same command again", target=self.subject.target)
        kept = {name: self.done[name] for name in sorted(self.done if files is None else files)}
        if read_back:
            self._read_back(list(kept.values()))
        manifest = Manifest(
            subject=self.subject,
            run=self._run,
            host=socket.gethostname(),
            tool=f"dbops {dbops.__version__}",
            store_version=store_version,
            started=self.begun.started,
            finished=_now(),
            compression=self.begun.compression,
            recipients=self.begun.recipients,
            files=tuple(kept.values()),
            records={name: sha256(self._records[name]).hexdigest() for name in kept},
            counts=dict(counts or {}),
            digest=digest,
            extra=dict(extra or {}),
        )
        stop.check()
        self._vault.put_new(self.folder + MANIFEST, sealed(manifest))
        return manifest

    def continue_with(self, records: Sequence[str]) -> None:
        """Take over the files that an earlier run completed; one whose record is damaged is written anew."""
        for name in records:
            data = self._vault.get(self.folder + name)
            try:
                record = opened(Record, data, self.folder + name)
            except VerifiedBad as error:  # what a newer dbops wrote is not damaged
                self._vault.delete(self.folder + name)
                hint = "its file is written anew; check the disk or service below the vault"
                told = Finding(Severity.WARNING, "record_set_aside", self.subject.target, error.message, hint)
                self.findings.append(told)
                continue
            self.done[record.file.name], self._records[record.file.name] = record.file, data

    def _keep(self, record: Record) -> None:
        name, data = record.file.name, sealed(record)
        self._vault.put_new(_record_of(self.folder, name), data)
        self._records[name] = data
        self.done[name] = record.file

    def _read_back(self, files: list[File]) -> None:
        with ThreadPoolExecutor(2, thread_name_prefix="reading-back") as pool:
            for file, found in zip(files, pool.map(self._stored_sums, files), strict=True):
                if found is None or (found.size, found.sha256) != (file.stored_size, file.stored_sha256):
                    self._vault.delete(_record_of(self.folder, file.name))  # so that the next run writes it anew
                    told = f"{self.folder}{file.stored} was read back and differs from what was written"
                    hint = "check the disk or service below the vault; then run the same command again"
                    raise VerifiedBad(told, hint=hint, target=self.subject.target)

    def _stored_sums(self, file: File) -> streams.Sums | None:
        stop.check()
        try:
            return streams.sums(self._vault.read(self.folder + file.stored))
        except Absent:
            return None


def _record_of(folder: str, name: str) -> str:
    return f"{folder}{RECORDS}{name}.json"


@contextmanager
def write(
    vault: Store,
    subject: Subject,
    *,
    run: str,
    tier: Tier | None = None,
    recipients: Sequence[str] = (),
    identity: str | None = None,
    compression: str = "zstd",
    given: Mapping[str, Any] | None = None,
) -> Generator[Writer]:
    """Go on with an artifact of the same store, target, kind and source that a run has left, or begin one.

    `given` is kept from the run that began it (`writer.begun.given`): watermarks, boundaries of parts.
    Without `finish` the artifact stays under construction.
    """
    if compression not in COMPRESSIONS:
        raise ValueError(f"{compression!r} is no compression")
    if tier is not None and (tier.storage_class or "").lower() in _OFFLINE:
        told = f"the storage class {tier.storage_class} cannot be read at once, so no artifact could be compared there"
        raise ConfigInvalid(told, hint="Cool, Cold, STANDARD_IA or GLACIER_IR can; let the service move them later")
    age.check(recipients)
    where, target = tier or Tier(), subject.target
    begun = Begun(
        subject=replace(subject, instant=_kept(subject.instant)),
        run=run,
        host=socket.gethostname(),
        started=_now(),
        compression=compression,
        recipients=tuple(sorted(recipients)),
        given=dict(given or {}),
    )
    findings = list(_told_of_tier(vault, where, target))
    if recipients:
        findings += _tried(recipients, identity, target)
    writer = _continued(vault, begun, run, where, findings) or _fresh(vault, begun, run, where)
    writer.findings += findings
    yield writer


def _kept(moment: datetime) -> datetime:
    """Cut an instant to what documents keep of it."""
    return units.parse_instant(units.instant(moment))


def _now() -> datetime:
    return _kept(clock.now())


def _fresh(vault: Store, begun: Begun, run: str, tier: Tier) -> Writer:
    folder = ""
    for _ in range(10):  # an instant that is taken has a free one a millisecond later
        folder = tier.prefix + begun.subject.folder
        try:
            vault.put_new(folder + CONSTRUCTION, sealed(begun))
        except AlreadyThere:
            later = begun.subject.instant + timedelta(milliseconds=1)
            begun = replace(begun, subject=replace(begun.subject, instant=later))
            continue
        return Writer(vault, folder, begun, run, tier.storage_class)
    raise AlreadyThere(f"{folder} is in the vault already", target=begun.subject.target)


def _continued(vault: Store, begun: Begun, run: str, tier: Tier, findings: list[Finding]) -> Writer | None:
    found: Construction | None = None
    subject = begun.subject
    # also where a kill left nothing else: what nobody can see, nobody would ever take up
    vault.sweep(f"{tier.prefix}{subject.store}/{subject.target}/", ending=f"-{subject.kind}")
    for group in groups(vault, f"{tier.prefix}{subject.store}/{subject.target}/"):
        if MANIFEST in group.entries or group.address.kind != subject.kind:
            continue
        left = look(vault, group)
        if not isinstance(left, Construction):  # finished a moment ago
            continue
        if reason := _why_not(left, begun):
            findings.append(_abandoned(left, reason))
            continue
        if found is not None:
            findings.append(_abandoned(found, "a newer one is continued"))
        found = left
    if found is None or found.begun is None:
        return None
    writer = Writer(vault, found.address.folder, found.begun, run, tier.storage_class)
    writer.continue_with([name for name in found.sizes if name.startswith(RECORDS)])
    return writer


def _why_not(left: Construction, wanted: Begun) -> str | None:
    """Tell why what an earlier run left cannot be continued."""
    if left.begun is None:
        return "its beginning cannot be read"
    same = left.begun.subject.source == wanted.subject.source
    if not same:
        return "the source has changed since"
    if (left.begun.recipients, left.begun.compression) != (wanted.recipients, wanted.compression):
        return "recipients or compression have changed since"
    if wanted.started - left.touched >= ABANDONED_AFTER:
        return "it was left too long ago"
    return None


def _abandoned(left: Construction, reason: str) -> Finding:
    at = left.address
    told = f"{at.folder} was never finished and is not continued: {reason}"
    return Finding(
        Severity.INFO, "construction_abandoned", at.target, told, "nobody needs it any more: its folder may go"
    )


def _told_of_tier(vault: Store, tier: Tier, target: str) -> Generator[Finding]:
    if tier.storage_class is not None and not vault.keeps_classes:
        told = f"{vault.url} knows no storage classes: {tier.storage_class} has no effect there"
        yield Finding(Severity.INFO, "storage_class_ignored", target, told)


def _tried(recipients: Sequence[str], identity: str | None, target: str) -> Generator[Finding]:
    hint = "keep its identity where it can be found, and name it in [vault] identity to have it tried"
    if identity is None:
        yield Finding(Severity.INFO, "not_readable_here", target, "no identity here can decrypt this artifact", hint)
    elif not age.can_read_back(recipients, identity):
        told = "nobody here can read this artifact back: [vault] identity belongs to none of its recipients"
        yield Finding(Severity.WARNING, "not_readable_here", target, told, hint)
