"""What a real pg_stat_statements tells of the old names, on a server that counts."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import fresh
from dbops.engine import clock
from dbops.operations.migrate import open_changes
from dbops.operations.migrate.contract import check, counting
from dbops.operations.migrate.contract.facts import Backups, Facts, Gate, Passed
from dbops.operations.migrate.contract.observe import observe
from dbops.operations.migrate.rehearse.copy import copied

import changing
import contracting


@pytest.fixture(scope="module")
def counted(base: Path) -> Generator[str]:
    """A server that counts statements."""
    server = contracting.counting_server(fresh(base, "counting"))
    with contracting.running(server):
        yield contracting.conninfo(server)


@pytest.fixture
def live(counted: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(counted, folder) as example:
        contracting.configure(example, "soak = '0s'", "old_clients = ['shop 1.*']")
        contracting.switched(example)
        yield example


def facts(live: changing.Example, *, alone: bool = True) -> Facts:
    if alone:
        contracting.alone(live)
    where = (live.config, live.toml, changing.TARGET, live.run(), contracting.CHANGE)
    with open_changes.at_work(*where) as work:
        return observe(live.config, work, live.run(), clock.now(), Backups(problem="no"))


def looked(live: changing.Example, *, alone: bool = True) -> Gate:
    return check.statements(facts(live, alone=alone))


def as_application(live: changing.Example, *texts: str) -> None:
    with psycopg.connect(live.app, autocommit=True) as connection:
        for text in texts:
            connection.execute(text)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_only_statements_that_use_the_old_name_since_the_switch_close_the_gate(live: changing.Example) -> None:
    assert looked(live).passed is Passed.YES
    as_application(
        live,
        "SELECT full_name FROM users WHERE id = 1",
        "SELECT u.full_name AS name FROM users u",
        "INSERT INTO users (id, full_name) VALUES (1001, 'x') ON CONFLICT (id) DO UPDATE SET full_name = 'y'",
        "UPDATE users SET full_name = 'z' WHERE id = 2",
        "SELECT count(*) FROM users",
    )
    assert looked(live).passed is Passed.YES, looked(live).evidence
    as_application(live, "SELECT * FROM users WHERE id = 3")
    whole = looked(live)
    assert (whole.passed, "takes whole rows" in whole.evidence) == (Passed.UNKNOWN, True)
    as_application(live, "SELECT name FROM users WHERE full_name = 'a secret'")
    used = looked(live)
    assert used.passed is Passed.NO
    assert "SELECT name FROM users WHERE full_name = $1 (1 call)" in used.evidence
    assert "a secret" not in used.evidence
    live.execute("SELECT pg_stat_statements_reset()", dsn=live.admin)
    reset = looked(live)
    assert (reset.passed, "was reset" in reset.evidence) == (Passed.UNKNOWN, True)


def test_what_a_rehearsal_reads_is_no_use_of_the_old(live: changing.Example) -> None:
    with copied(live.config, live.toml, changing.TARGET, live.run()):
        gate = looked(live)
    assert gate.passed is Passed.YES, gate.evidence


def test_what_dbops_itself_does_does_not_count_unless_an_application_signs_in_as_its_role(
    live: changing.Example,
) -> None:
    live.execute("SELECT name FROM users")
    found = facts(live)
    assert any("SELECT name" in (one.text or "") for one in found.counted[0].statements)
    assert check.statements(found).passed is Passed.YES
    with live.connect():
        shared = looked(live, alone=False)
    assert (shared.passed, "signs in as the role of dbops" in shared.evidence) == (Passed.UNKNOWN, True)


def test_a_statement_of_the_baseline_that_was_reset_by_itself_is_unknown(live: changing.Example) -> None:
    as_application(live, "SELECT full_name FROM users")
    contracting.rebase(live)
    assert looked(live).passed is Passed.YES
    [(user, database, query)] = live.execute(
        "SELECT userid, dbid, queryid FROM pg_stat_statements WHERE query = 'SELECT full_name FROM users'",
        dsn=live.admin,
    )
    live.execute(f"SELECT pg_stat_statements_reset({user}, {database}, {query})", dsn=live.admin)
    found = looked(live)
    assert (found.passed, "forgotten" in found.evidence) == (Passed.UNKNOWN, True)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("ALTER ROLE {app} SET pg_stat_statements.track = none", "settings under which statements are not counted"),
        ("ALTER DATABASE {name} SET pg_stat_statements.track_utility = off", "COPY is not counted"),
        ("ALTER DATABASE {name} SET compute_query_id = off", "statements are not counted"),
        ("DROP EXTENSION pg_stat_statements", "is not in this database"),
    ],
)
def test_settings_under_which_nothing_is_counted_are_unknown(live: changing.Example, setting: str, said: str) -> None:
    names = {"app": _name(live.app, "user"), "name": _name(live.app, "dbname")}
    live.execute(setting.format(**names), dsn=live.admin)
    found = looked(live)
    assert (found.passed, said in found.evidence) == (Passed.UNKNOWN, True), found.evidence


def _name(dsn: str, word: str) -> str:
    return f'"{conninfo_to_dict(dsn)[word]}"'


def test_a_role_that_may_not_see_the_statements_of_others_knows_nothing(live: changing.Example) -> None:
    with live.connect() as connection:
        found = counting.count(connection, "primary")
    assert found.problem == "the statements of others are hidden"


def test_a_server_without_the_library_is_unknown(server: str, folder: Path) -> None:
    with changing.example(server, folder) as other, other.connect(other.admin) as connection:
        assert counting.count(connection, "primary").problem == "pg_stat_statements is not in this database"
        connection.execute("CREATE EXTENSION pg_stat_statements")
        assert counting.count(connection, "primary").problem == "pg_stat_statements is not loaded"


def test_a_clock_of_ours_that_is_ahead_ends_no_soak(live: changing.Example) -> None:
    live.toml.write_text(live.toml.read_text().replace("soak = '0s'", "soak = '7d'"))
    with open_changes.at_work(live.config, live.toml, changing.TARGET, live.run(), contracting.CHANGE) as work:
        ahead = clock.now() + timedelta(days=8)
        found = observe(live.config, work, live.run(), ahead, Backups(problem="no"))
    assert check.soak(found).passed is Passed.NO
