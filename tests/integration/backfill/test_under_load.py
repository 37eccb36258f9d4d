"""A backfill beside an application that writes old and new columns: nothing of it fails, and nothing is lost."""

from pathlib import Path

from dbops.operations.migrate.life import State

import filling
from loading import Ask, Client, under_load

ROWS = 20_000
SAME = "SELECT count(*)::int FROM users WHERE full_name IS DISTINCT FROM upper(name)"
CLIENTS = (
    Client(
        "old",
        (
            Ask("UPDATE users SET name = %s WHERE id = %s", lambda r: (f"old {r.random()}", r.randrange(1, ROWS + 1))),
            Ask("SELECT name FROM users WHERE id = %s", lambda r: (r.randrange(1, ROWS + 1),)),
        ),
    ),
    Client(
        "new",
        (
            Ask(
                "UPDATE users SET full_name = %s WHERE id = %s",
                lambda r: (f"NEW {r.random()}", r.randrange(1, ROWS + 1)),
            ),
        ),
    ),
    # two rows in any order: what deadlocks are made of, if a batch let itself be waited for
    Client(
        "two",
        (
            Ask("UPDATE users SET visits = visits + 1 WHERE id = %s", lambda r: (2 * r.randrange(1, ROWS // 2 - 1),)),
            Ask("INSERT INTO users (id) VALUES (%s) ON CONFLICT DO NOTHING", lambda r: (r.randrange(ROWS, 10**9),)),
        ),
    ),
    Client("reader", (Ask("SELECT count(*) FROM users WHERE id < %s", lambda r: (r.randrange(ROWS),)),)),
)


def test_nothing_of_the_application_fails_and_both_sides_agree(server: str, folder: Path) -> None:
    with filling.renamed(server, folder, ROWS) as change:
        with under_load(change.live.app, CLIENTS, long_read="SELECT count(*) FROM users") as load:
            assert change.fill(jobs=2, most_rows=1000) == []
        assert load.failures == {}
        assert load.long_reads == 1
        assert change.ask(SAME) == 0
        assert change.ask("SELECT count(*)::int FROM users WHERE full_name LIKE 'NEW%'") > 0
        assert change.ask("SELECT count(*)::int FROM users WHERE name LIKE 'old%'") > 0
        assert change.life.state is State.BACKFILLED
        old = change.ask("SELECT count(*)::int FROM users WHERE name ~ '^user [0-9]+$'")
        assert old > 0  # a value that says the same in capitals was not written back
