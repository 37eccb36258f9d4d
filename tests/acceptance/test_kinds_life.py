"""Each kind of change through the installed program, from new to contract, beside an application that never stops."""

from pathlib import Path

import pytest

import kinds
import lives
from conftest import Dbops
from dbops.operations.migrate.scaffold.kinds import KINDS
from lives import Group

from contracting import ask
from migrating import catalog_of, difference

# What reads for long comes in between: every strong lock has to wait for it, and to let others pass meanwhile.
LONG_S = 0.3


@pytest.mark.parametrize("group", [kinds.COLUMNS, kinds.TABLES], ids=("columns", "tables"))
def test_no_client_fails_through_the_lives_of(group: Group, server: str, folder: Path, dbops: Dbops) -> None:
    with lives.place(server, folder, group) as live:
        with lives.led(dbops, live, group, group.kinds, read_s=LONG_S) as beside:
            pass
        assert beside.failures == {}
        assert beside.long_reads > 1
        for one in group.kinds:
            assert (one.name, lives.ended(live, one)) == (one.name, lives.wanted(one))
        assert live.execute("SELECT tgname FROM pg_trigger WHERE tgname ~ '^[~!]dbops_' AND tgname !~ '_follow_'") == []
        (told,) = ask(dbops, live, "status")["data"]["databases"]
        left = {one["change"] for one in told["changes"] if one["phase"] != "put away"}
        assert (told["pending"], told["problems"], left) == ([], [], set())


def test_no_client_fails_while_everything_that_is_added_comes_and_goes(server: str, folder: Path, dbops: Dbops) -> None:
    group = kinds.ADDED
    with lives.place(server, folder, group) as live:
        ask(dbops, live, "up", "--yes")
        before = catalog_of(live.admin)
        with lives.led(dbops, live, group, group.kinds, read_s=LONG_S) as beside:
            for one in group.kinds:
                assert (one.name, lives.ended(live, one)) == (one.name, lives.wanted(one))
            ask(dbops, live, "down", "--to", lives.FIRST, "--yes")
        assert beside.failures == {}
        assert beside.long_reads > 1
        assert set(difference(before, catalog_of(live.admin))) == {"enum mood"}  # a value stays


def test_there_is_a_life_of_every_kind() -> None:
    led = {words[0] for group in kinds.GROUPS for one in group.kinds for words in (one.words, one.refused) if words}
    assert led == {kind.name for kind in KINDS}
