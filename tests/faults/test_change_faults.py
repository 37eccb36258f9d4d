"""The faults that a change may meet: each ends a verb before harm, is told in its class, and the next run goes on."""

import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import fresh

import faulting
from answering import free_port
from faulting import CHANGE, MARK, RENAME, ROWS, Case, Ground, Rows, states
from killing import Ended, Zygote

_DBOPS = Path(sys.executable).with_name("dbops")
_AGAIN = "the same command goes on"
_CORRECT = "correct the rows; the same command goes on"
_BACK = "put it back, verify; the same command goes on"
_ANEW = "roll back, correct it, begin again"


@pytest.fixture(scope="module")
def ground(base: Path) -> Generator[Ground]:
    folder = fresh(base, "ground")
    folder.mkdir(mode=0o711)
    with faulting.ground(folder, free_port()) as made:
        yield made


@pytest.fixture
def case(ground: Ground, zygote: Zygote, folder: Path) -> Generator[Case]:
    with faulting.case(ground.conninfo, zygote, folder) as made:
        yield made


@pytest.fixture
def rows(record_property: Callable[[str, object], None]) -> Rows:
    return Rows(record_property)


def goes_on(case: Case, *verbs: str) -> None:
    """See that what was stopped comes to its end, and that no row was told to anybody."""
    for verb in verbs:
        case.done(verb)
    case.is_told_nowhere()


def small(case: Case) -> None:
    """Let what the owner makes from here on lie on the small disk."""
    owner, here = (conninfo_to_dict(case.live.owner)[one] for one in ("user", "dbname"))
    text = f'ALTER ROLE "{owner}" IN DATABASE "{here}" SET default_tablespace = small'
    case.live.execute(text, dsn=case.live.admin)
    case.live.execute("ALTER TABLE users SET TABLESPACE small", dsn=case.live.admin)


def test_a_disk_that_fills_up_during_a_backfill(ground: Ground, case: Case, rows: Rows) -> None:
    small(case)
    case.write(RENAME)
    case.done("up")
    ground.leave(64 << 10)
    said = rows.add("disk full", "migrate backfill", case.run("backfill", "--most-rows", "500"), 1, _AGAIN)
    ground.leave(None)
    assert "No space left on device" in said
    assert "make room" in said
    [(filled,)] = case.live.execute("SELECT count(full_name) FROM users")
    assert 0 < filled < ROWS
    assert case.live.execute("SELECT sum(rows_seen), count(*) FROM dbops.jobs") == [(filled, 1)]
    assert case.live.execute("SELECT count(*) FROM dbops.set_aside") == [(0,)], "it is no fault of a row"
    goes_on(case, "backfill")


def test_a_disk_that_fills_up_during_an_index_build(ground: Ground, case: Case, rows: Rows) -> None:
    small(case)
    case.write('Index("public.users", "users_name", "(name)")')
    ground.leave(64 << 10)
    said = rows.add("disk full", "migrate up (an index)", case.run("up"), 1, _AGAIN)
    ground.leave(None)
    assert "No space left on device" in said
    goes_on(case, "up")
    assert case.live.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_name'::regclass") == [(True,)]


def test_a_lock_that_an_idle_transaction_never_lets_go(case: Case, rows: Rows) -> None:
    case.write(RENAME)
    fault = "lock never granted (idle in transaction)"
    with psycopg.connect(case.live.admin, application_name="the shop") as holder:
        holder.execute("SELECT FROM users WHERE id = 1 FOR UPDATE")
        who = f"backend {holder.info.backend_pid} of postgres (the shop, idle in transaction"  # and since when
        assert who in rows.add(fault, "migrate up", case.run("up", "--patience", "1s"), 11, _AGAIN)
        holder.rollback()
        case.done("up")
        holder.execute("SELECT FROM users WHERE id = 1 FOR UPDATE")
        said = rows.add(fault, "migrate backfill", case.run("backfill", "--patience", "1s"), 11, _AGAIN)
        assert who in said
    goes_on(case, "backfill")


def test_two_hosts_at_once_end_as_one(case: Case, rows: Rows) -> None:
    """They share the database, and no state directory."""
    case.write(RENAME)
    case.done("up")
    with case.waiting("backfill", lock="SELECT FROM users WHERE id = 3000 FOR UPDATE") as met:
        other = [str(word) for word in case.words("backfill", toml=faulting.elsewhere(case.live))]
        done = subprocess.run([_DBOPS, *other, "--lock-wait", "0s"], capture_output=True, text=True, check=False)
        ended = Ended(done.returncode, killed=False, seconds=0.0, out=done.stdout, err=done.stderr)
        assert f"change:{CHANGE}" in rows.add("two hosts at once", "migrate backfill", ended, 11, _AGAIN)
    assert met.code == 0
    assert case.live.execute("SELECT count(*), sum(rows_seen) FROM dbops.jobs WHERE kind = 'backfill'") == [(1, ROWS)]
    goes_on(case, "backfill")


def test_a_signal_ends_a_verification_where_it_is(case: Case, rows: Rows) -> None:
    """What is incomplete is no verdict: neither 4 nor 5 can be told of it."""
    case.write(RENAME)
    case.done("up")
    case.done("backfill")
    argv = [str(word) for word in (_DBOPS, *case.words("verify", "--limit", "400"))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not case.live.execute("SELECT 1 FROM dbops.jobs WHERE kind = 'verify' AND throttled_by IS NOT NULL"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    ended = Ended(process.returncode, killed=False, seconds=0.0, out=out, err=err)
    rows.add("SIGINT", "migrate verify", ended, 130, _AGAIN)
    assert states(case.live)[CHANGE][-1] == "backfilled"
    [(seen,)] = case.live.execute("SELECT rows_seen FROM dbops.jobs WHERE kind = 'verify'")
    goes_on(case, "verify")
    assert 0 < seen < ROWS
    assert case.live.execute("SELECT rows_seen FROM dbops.jobs WHERE kind = 'verify'") == [(ROWS,)]


def test_ddl_by_hand_in_between_is_told_as_drift(case: Case, rows: Rows) -> None:
    case.write(RENAME)
    for verb in ("up", "backfill", "verify"):
        case.done(verb)
    [(trigger,)] = case.live.execute(
        "SELECT tgname FROM pg_trigger WHERE tgname ~ '^[~!]dbops' AND tgenabled <> 'D' ORDER BY tgname LIMIT 1"
    )
    [(mode,)] = case.live.execute(f"SELECT tgenabled::text FROM pg_trigger WHERE tgname = '{trigger}'")
    case.live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')
    said = rows.add("DDL by hand", "migrate switch", case.run("switch"), 9, _BACK)
    assert "verified under other triggers" in said
    status = case.zygote.run("migrate", "status", "--config", case.live.toml, "-o", "json")
    assert "was altered by other hands" in rows.add("DDL by hand", "migrate status", status, 3, _BACK)
    assert states(case.live)[CHANGE][-1] == "verified"
    case.live.execute(f'ALTER TABLE users ENABLE {"ALWAYS" if mode == "A" else ""} TRIGGER "{trigger}"')
    goes_on(case, "verify", "switch")


_WRONG = RENAME.replace('"r.name"', '"upper(r.name)"')
_CAST = """Columns("public.users", (New("years", "int"),), ("age",),
    up={"years": "r.age::int"}, down={"age": "r.years::text"})"""


def test_a_wrong_up_is_found_before_anybody_reads_it(case: Case, rows: Rows) -> None:
    before = case.live.execute("SELECT u::text FROM users u ORDER BY id")
    case.write(_WRONG)
    case.done("up")
    case.done("backfill")
    said = rows.add("wrong `up`", "migrate verify", case.run("verify"), 4, _ANEW)
    assert "id = 1;" in said
    assert case.run("switch").code == 9
    assert states(case.live)[CHANGE][-1] == "backfilled"
    case.done("rollback", "--override", "reverse", "--reason", "the new was wrong", "--confirm", "example")
    assert sorted(case.live.execute("SELECT u::text FROM users u ORDER BY id")) == sorted(before)
    case.write(RENAME)
    goes_on(case, "up", "backfill", "verify")


def test_an_expression_that_yields_another_value_each_time(case: Case, rows: Rows) -> None:
    case.write(RENAME.replace('"r.name"', '"r.name || random()"'))
    rows.add("`up` by chance", "migrate up", case.run("up"), 1, "correct it; the same command goes on")
    case.live.execute("CREATE FUNCTION by_chance() RETURNS text LANGUAGE sql AS 'SELECT random()::text'")
    case.write(RENAME.replace('"r.name"', '"r.name || public.by_chance()"'))
    case.done("up")
    rows.add("`up` by chance, within a function", "migrate backfill", case.run("backfill"), 9, _ANEW)
    assert case.live.execute("SELECT count(full_name) FROM users") == [(0,)]
    case.done("rollback")
    case.write(RENAME)
    goes_on(case, "up", "backfill")


def test_a_cast_that_fails_on_one_row_names_its_key(case: Case, rows: Rows) -> None:
    case.live.execute(f"UPDATE users SET age = '{MARK}' WHERE id = 7")
    case.write(_CAST)
    case.done("up")
    said = rows.add("cast fails on row 7", "migrate backfill", case.run("backfill"), 1, _CORRECT)
    assert '["7"]: 22P02 InvalidTextRepresentation' in said
    assert case.live.execute("SELECT count(years) FROM users") == [(ROWS - 1,)]
    case.live.execute("UPDATE users SET age = '7' WHERE id = 7")
    goes_on(case, "backfill", "verify")


def test_a_cast_that_fails_in_an_index_tells_no_row(case: Case, rows: Rows) -> None:
    case.live.execute(f"UPDATE users SET age = '{MARK}' WHERE id = 7")
    case.write('Index("public.users", "users_age", "((age::int))")')
    rows.add("cast fails on row 7", "migrate up (an index)", case.run("up"), 1, _CORRECT)
    case.live.execute("UPDATE users SET age = '7' WHERE id = 7")
    goes_on(case, "up")


@pytest.mark.parametrize(
    ("definition", "keys"),
    [
        ("CHECK (length(age) < 3)", "first ones: 7, 8"),
        ("UNIQUE (age)", "first ones: 7, 8"),
        ("FOREIGN KEY (age) REFERENCES ages (age)", "first ones: 7, 8"),
    ],
)
def test_old_rows_against_a_constraint(case: Case, rows: Rows, definition: str, keys: str) -> None:
    case.live.execute("CREATE TABLE ages (age text PRIMARY KEY)")
    case.live.execute("INSERT INTO ages SELECT generate_series(0, 99)")
    case.live.execute("DELETE FROM users WHERE id > 99")
    case.live.execute(f"UPDATE users SET age = '{MARK}' WHERE id IN (7, 8)")
    case.write(f'Constraint("public.users", "users_rule", "{definition}")')
    kind = definition.partition(" (")[0]
    said = rows.add(f"old rows against {kind}", "migrate up", case.run("up"), 1, _CORRECT)
    assert keys in said
    assert case.live.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'users_rule'") == [(0,)]
    case.live.execute("UPDATE users SET age = id WHERE id IN (7, 8)")
    goes_on(case, "up")
