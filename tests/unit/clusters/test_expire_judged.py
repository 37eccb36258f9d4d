"""Which sets nobody should count on."""

from datetime import UTC, datetime

from dbops.operations.clusters.archives import Archive, archive, sort
from dbops.operations.clusters.expire.facts import Backup
from dbops.operations.clusters.expire.observe import by_its_chain, why_bad
from dbops.operations.clusters.reach.continuity import reach
from dbops.stores.pgbackrest import BackupInfo

AT = datetime(2026, 11, 21, tzinfo=UTC)
FULL, DIFF = "20261121-041011F", "20261121-041011F_20261121-041015D"


def name(number: int) -> str:
    return f"{1:08X}{0:08X}{number:08X}"


def wal(*numbers: int) -> Archive:
    files = [(f"15-1/{name(n)[:16]}/{name(n)}-{'0' * 40}.zst", 1, 0) for n in numbers]
    return archive(sort(files)["15-1"], {}, repository=1, id="15-1", database_id=1, segment_size=1 << 20)


def info(*, error: bool | None = None) -> BackupInfo:
    return BackupInfo(
        label=FULL, kind="full", started=AT, stopped=AT, prior=None, references=(), wal_start=name(2),
        wal_stop=name(3), lsn_start=None, lsn_stop=None, size=1, delta=1, repository_size=1, repository_delta=1,
        error=error, database_id=1, repository=1, annotations=(),
    )  # fmt: skip


def told(one: BackupInfo, archived: Archive | None) -> str | None:
    return why_bad(one, archived, None if archived is None else reach(one, archived))


def test_a_whole_set_is_good() -> None:
    assert told(info(), wal(1, 2, 3)) is None
    assert told(info(error=False), wal(2, 3)) is None


def test_a_set_with_broken_pages_is_not() -> None:
    assert told(info(error=True), wal(1, 2, 3)) == "pages of the source had wrong checksums"


def test_a_set_without_its_own_wal_is_not() -> None:
    assert told(info(), wal(1, 2)) == f"WAL segment {name(3)} is missing"
    assert told(info(), wal(1, 3)) == f"WAL segment {name(2)} is missing"
    assert told(info(), None) == "no WAL of its cluster is there"


def test_a_set_is_no_better_than_what_it_is_built_on() -> None:
    one = Backup(DIFF, "diff", AT, AT, "15-1", name(2), frozenset({FULL}))
    assert by_its_chain(one, {FULL, DIFF}, set()) is None
    assert by_its_chain(one, {DIFF}, set()) == f"{FULL}, which it needs, is not there"
    assert by_its_chain(one, {FULL, DIFF}, {FULL}) is not None
