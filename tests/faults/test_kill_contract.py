"""kill -9 anywhere in `migrate contract`: the old is there with the change open, or gone with it closed."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from dbops.operations.migrate.life import State

import changing
import contracting
import renaming
from contracting import CHANGE, through
from killing import Zygote, kills, moment

_CHAIN = 5
_UNLOOKED = through("soak", "statements", "clients", "backup", "rehearsal")
Record = Callable[[str, object], None]


def words(live: changing.Example, *more: str) -> tuple[str | Path, ...]:
    asked = ("migrate", "contract", CHANGE, "-t", changing.TARGET, "--config", live.toml)
    return (*asked, "--lock-wait", "20s", *_UNLOOKED, *more)


def is_contracted(live: changing.Example) -> bool:
    """Say whether it is; the catalog, the stamp and the ledger agree, and no row has lost anything."""
    contracting.quiet(live)
    asked = "SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped"
    old = "name" in {name for (name,) in live.execute(asked)}
    stamp = live.execute("SELECT version_num FROM alembic_version")
    assert (renaming.known(live).state is State.SWITCHED) is old
    assert (stamp == [(renaming.EXPAND,)]) is old
    assert live.execute("SELECT count(*), count(full_name) FROM users") == [(50, 50)]
    ours = live.execute("SELECT count(*) FROM pg_trigger WHERE tgname ~ '^[~!]dbops_'")
    assert (ours == [(1,)]) is old
    return not old


@contextmanager
def written(server: str, folder: Path, zygote: Zygote) -> Generator[changing.Example]:
    folder.mkdir(mode=0o711)
    with changing.example(server, folder) as live:
        contracting.switched(live)
        zygote.finished(*words(live, "--write"))
        yield live


def test_a_contraction_that_is_killed_again_and_again_is_done_once_or_not_at_all(
    server: str, folder: Path, zygote: Zygote, record_property: Record
) -> None:
    with written(server, folder / "clean", zygote) as live:
        clean = zygote.finished(*words(live, "--yes"))
        assert is_contracted(live)
    done = turns = 0
    while done < kills(30):
        with written(server, folder / f"turn{turns}", zygote) as live:
            for _ in range(_CHAIN):
                ended = zygote.run(*words(live, "--yes"), kill_after=moment(clean.seconds * 1.7))
                assert ended.killed or ended.code == 0, ended.err
                done += ended.killed
                is_contracted(live)
            zygote.finished(*words(live, "--yes"))
            assert is_contracted(live)
            states = [one["state"] for one in contracting.entries(live, "state")]
            assert states.count("contracted") == 1
        turns += 1
    record_property("kills", f"migrate contract: {done} kills, a clean run takes {clean.seconds:.2f} s")


def test_a_written_revision_that_was_killed_appears_whole_or_not_at_all(
    server: str, folder: Path, zygote: Zygote, record_property: Record
) -> None:
    (folder / "one").mkdir(mode=0o711)
    with changing.example(server, folder / "one") as live:
        contracting.switched(live)
        clean = zygote.finished(*words(live, "--write"))
        [file] = live.history.glob("*_contract_*.py")
        text = file.read_bytes()
        done = 0
        for _ in range(kills(8)):
            file.unlink(missing_ok=True)
            done += zygote.run(*words(live, "--write"), kill_after=moment(clean.seconds * 1.7)).killed
            assert not file.exists() or file.read_bytes() == text
            zygote.finished(*words(live, "--write"))
            assert file.read_bytes() == text
    record_property("kills", f"migrate contract --write: {done} kills, a clean run takes {clean.seconds:.2f} s")
