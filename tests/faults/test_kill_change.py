"""kill -9 anywhere in `migrate verify`, `switch` and `rollback`: the next run finishes, and nothing is told twice."""

import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from dbops.operations.migrate.life import State

import changing
import renaming
from killing import Zygote, kills, moment

ROWS = 60_000
DIFFER = [n * 5000 for n in range(1, 13)]
_CHAIN = 4
_SWAP = "ALTER TABLE users RENAME TO people"
_SWAP_BACK = "ALTER TABLE people RENAME TO users"
Record = Callable[[str, object], None]


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        renaming.write(example)
        renaming.upgrade(example)
        renaming.rows(example, ROWS)
        yield example


def words(live: changing.Example, verb: str) -> tuple[str | Path, ...]:
    asked = ("migrate", verb, renaming.CHANGE, "-t", changing.TARGET, "--config", live.toml)
    return asked if verb == "verify" else (*asked, "--yes")


def disagree(live: changing.Example) -> None:
    with live.connect(live.admin) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE users SET full_name = 'other' WHERE id = ANY(%s)", (DIFFER,))


def test_a_verification_that_is_killed_again_and_again_compares_each_row_once(
    zygote: Zygote, live: changing.Example, record_property: Record
) -> None:
    disagree(live)
    verify = words(live, "verify")
    clean = zygote.run(*verify)
    assert clean.code == 4, clean.err
    done = 0
    while done < kills(14):
        for _ in range(_CHAIN):
            done += zygote.run(*verify, kill_after=moment(clean.seconds * 1.5)).killed
        ended = zygote.run(*verify, "--lock-wait", "20s", "-o", "json")
        assert ended.code == 4, ended.err
        for one in json.loads(ended.out)["data"]["comparisons"]:
            assert (one["rows"], one["differ"], one["unreadable"]) == (ROWS, len(DIFFER), 0)
            assert one["keys"] == [f"id = {key}" for key in DIFFER]
    assert live.execute("SELECT count(*), sum(rows_seen) FROM dbops.jobs") == [(2, 2 * ROWS)]
    record_property("kills", f"migrate verify: {done} kills, a clean run takes {clean.seconds:.2f} s")


def consistent(live: changing.Example) -> State:
    """Names, readers and the state of the change are one: none of them moves without the others."""
    [(table,)] = live.execute("SELECT relname FROM pg_class WHERE relname IN ('users', 'people') AND relkind = 'r'")
    change = renaming.observed(live)
    all_follow = change.percent == 100
    assert (table == "people", change.life.state is State.SWITCHED) == (all_follow, all_follow)
    return change.life.state


def test_a_killed_switch_or_rollback_moves_all_or_nothing(
    zygote: Zygote, live: changing.Example, record_property: Record
) -> None:
    renaming.write(live, swap=_SWAP, swap_back=_SWAP_BACK)
    live.execute("DELETE FROM users WHERE id > 2000")
    assert renaming.verify(live)[0] == 0
    done = 0
    clean = {"switch": zygote.run(*words(live, "switch")).seconds}
    clean["rollback"] = zygote.run(*words(live, "rollback")).seconds
    assert consistent(live) is State.VERIFIED
    for _ in range(20):
        if done >= kills(16):
            break
        for verb, ends_in in (("switch", State.SWITCHED), ("rollback", State.VERIFIED)):
            for _ in range(2):
                if verb == "rollback" and renaming.known(live).state is State.VERIFIED:
                    break  # one more would take back what was added
                done += zygote.run(*words(live, verb), kill_after=moment(clean[verb] * 1.5)).killed
                consistent(live)
            if verb == "switch" or renaming.known(live).state is not ends_in:
                ended = zygote.run(*words(live, verb), "--lock-wait", "20s")
                assert ended.code in {0, 3}, ended.err  # 3: this server counts no statements
            assert consistent(live) is ends_in
    record_property("kills", f"migrate switch, rollback: {done} kills, clean runs take {clean}")


def test_a_killed_undo_is_done_whole_by_the_next_run(
    zygote: Zygote, live: changing.Example, record_property: Record
) -> None:
    live.execute("DELETE FROM users WHERE id > 5000")
    before = live.execute("SELECT id, name FROM users ORDER BY id")
    undo = words(live, "rollback")
    clean = done = 0.0
    for _ in range(20):
        if done >= kills(8):
            break
        assert renaming.verify(live)[0] == 0
        for _ in range(2 if clean else 0):
            if renaming.known(live).state is not State.ROLLED_BACK:
                done += zygote.run(*undo, kill_after=moment(clean * 1.5)).killed
        if renaming.known(live).state is not State.ROLLED_BACK:
            ended = zygote.run(*undo, "--lock-wait", "20s")
            assert ended.code == 0, ended.err
            clean = clean or ended.seconds
        assert renaming.known(live).state is State.ROLLED_BACK
        assert live.execute("SELECT * FROM users ORDER BY id") == before, "what was added is gone, and no row with it"
        assert live.execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~dbops%'") == [(0,)]
        renaming.upgrade(live)
        renaming.fill(live)
    record_property("kills", f"migrate rollback of an expansion: {done:.0f} kills, a clean run takes {clean:.2f} s")
