"""What dbops relies on when it talks to PostgreSQL."""

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops import process
from dbops.config.fields import SecretFile, Tls
from dbops.config.model import Cluster
from dbops.engine import run as runs
from dbops.engine.plan import Statement
from dbops.engine.run import Run, application_name
from dbops.errors import AuthenticationFailed, CouldNotVerify, DbopsError, LockBusy, Refused, Unreachable
from dbops.servers import account
from dbops.servers import postgres as pg
from dbops.stores import postgres

from answering import free_port


def place(conninfo: str, folder: Path, *, tls: Tls | None = None, **other: str) -> Cluster:
    """Describe a server as dbops.toml would: the password in a file of its own."""
    told = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()} | other
    secret = folder / "password"
    secret.write_text(told.pop("password") + "\n")
    secret.chmod(0o600)
    words = " ".join(f"{key}='{value}'" for key, value in told.items())
    return Cluster(dsn=words, password=SecretFile(file=secret), tls=tls)


@pytest.fixture
def run(folder: Path) -> Run:
    return runs.new("a test", folder / "state")


@pytest.fixture
def here(database: str, folder: Path) -> Cluster:
    return place(database, folder)


def test_a_connection_says_who_it_is_and_bounds_its_waits(here: Cluster, run: Run) -> None:
    with postgres.connect(here, run, target="main", statement_timeout=timedelta(seconds=7)) as connection:
        assert postgres.record(
            connection,
            """SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone,
                      current_setting('statement_timeout') AS statement,
                      current_setting('idle_in_transaction_session_timeout') AS idle,
                      current_setting('client_connection_check_interval') AS alive""",
        ) == {"name": application_name(run), "zone": "UTC", "statement": "7s", "idle": "1min", "alive": "5s"}
        assert connection.autocommit


def test_an_application_name_fits_into_63_bytes_whatever_the_host_is_called(run: Run) -> None:
    assert len(application_name(run).encode()) <= 63
    assert run.id in application_name(run)


def test_a_statement_too_slow_could_not_verify(here: Cluster, run: Run) -> None:
    with (
        pytest.raises(CouldNotVerify),
        postgres.connect(here, run, target="main", statement_timeout=timedelta(milliseconds=50)) as connection,
    ):
        connection.execute("SELECT pg_sleep(60)")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT a::int FROM t", "invalid input syntax for type integer"),
        ("SELECT a::timestamp FROM t", "invalid input syntax for type timestamp"),
        ("SELECT a::json FROM t", "invalid input syntax for type json"),
        ("SELECT (a || '9999999999')::int FROM (VALUES ('1')) x (a)", "is out of range for type integer"),
        ("CREATE UNIQUE INDEX one ON t (a)", "could not create unique index"),
        ("INSERT INTO u SELECT a FROM t", "duplicate key value violates unique constraint"),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (a)", "violates foreign key constraint"),
        ("ALTER TABLE t ADD EXCLUDE (a WITH =)", "could not create exclusion constraint"),
    ],
)
def test_what_is_in_a_row_is_told_to_nobody(here: Cluster, run: Run, query: LiteralString, said: str) -> None:
    with postgres.connect(here, run, target="here") as connection:
        connection.execute("CREATE TEMP TABLE t (a text)")
        connection.execute("CREATE TEMP TABLE u (a text PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES ('she said \"19999999999\"'), ('she said \"19999999999\"')")
        with pytest.raises(DbopsError) as told, postgres.translated("here"):
            connection.execute(query)
    assert said in told.value.message
    assert "9999" not in f"{told.value.message} {told.value.hint}"


def test_a_wrong_password_is_an_authentication_failure(here: Cluster, run: Run, folder: Path) -> None:
    (folder / "password").write_text("wrong-password-42\n")
    with pytest.raises(AuthenticationFailed) as caught, postgres.connect(here, run, target="main"):
        pass
    assert "wrong-password-42" not in str(caught.value)
    assert caught.value.target == "main"


def test_a_role_that_is_not_there_is_an_authentication_failure(database: str, folder: Path, run: Run) -> None:
    with pytest.raises(AuthenticationFailed), postgres.connect(place(database, folder, user="no one"), run, target="m"):
        pass


def test_a_database_that_is_not_there_is_refused(here: Cluster, run: Run) -> None:
    with pytest.raises(Refused), postgres.connect(here, run, target="main", dbname="nowhere"):
        pass


def test_a_server_that_is_not_there_can_be_tried_again(database: str, folder: Path, run: Run) -> None:
    with pytest.raises(Unreachable), postgres.connect(place(database, folder, host=str(folder)), run, target="main"):
        pass


def test_tls_that_the_server_does_not_speak_is_not_silently_dropped(tcp_server: str, folder: Path, run: Run) -> None:
    here = place(tcp_server, folder, tls=Tls(mode="require"))
    with pytest.raises(Unreachable) as caught, postgres.connect(here, run, target="main"):
        pass
    assert "SSL" in str(caught.value)


@pytest.mark.parametrize("name", ['quo"te', "new\nline", "per%cent", "bra{}ce", "%s", "ünï", "a" * 63])
def test_hostile_names_and_values_stay_names_and_values(here: Cluster, run: Run, name: str) -> None:
    with postgres.connect(here, run, target="main") as connection:
        postgres.execute(connection, Statement("CREATE TABLE {} (x text)", (("public", name),)))
        postgres.execute(connection, Statement("INSERT INTO {} VALUES (%s || '%%')", (("public", name),), (name,)))
        row = connection.execute("SELECT relname FROM pg_class WHERE relname = %s", (name,)).fetchone()
        assert row == (name,)
        assert connection.execute(postgres.compose(Statement("SELECT x FROM {}", (("public", name),)))).fetchone() == (
            f"{name}%",
        )


def test_a_second_run_is_told_who_holds_the_lock(here: Cluster, run: Run) -> None:
    other = runs.new("another", run.state_dir)
    with postgres.only_run(here, run, target="main", subject="roles") as guard:
        guard()
        with pytest.raises(LockBusy) as caught, postgres.only_run(here, other, target="main", subject="roles"):
            pass
        with postgres.only_run(here, other, target="main", subject="schema"):
            pass
    assert run.id in str(caught.value)
    assert str(os.getpid()) in str(caught.value)
    with postgres.only_run(here, other, target="main", subject="roles"):
        pass


def test_a_lock_is_free_at_once_though_the_backend_of_its_holder_lingers(
    here: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as lingering:
        connect = postgres.connect

        @contextmanager
        def slow_to_end(*args: Any, **options: Any) -> Generator[postgres.Connection]:
            yield lingering.enter_context(connect(*args, **options))

        with monkeypatch.context() as patch:
            patch.setattr(postgres, "connect", slow_to_end)
            with postgres.only_run(here, run, target="main", subject="roles"):
                pass
            with postgres.only_runs(here, run, target="main", subjects=["roles", "schema"]) as (busy, _):
                assert busy == {}
            with postgres.only_run(here, run, target="main", subject="schema") as guard:
                guard()


def test_a_lock_that_was_lost_is_noticed_before_the_next_step(here: Cluster, run: Run, database: str) -> None:
    with postgres.only_run(here, run, target="main", subject="roles") as guard:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s",
                (application_name(run),),
            )
        with pytest.raises((LockBusy, Unreachable)):
            guard()


_HOLDER = """
    import sys
    from pathlib import Path
    from dbops.config.fields import SecretFile
    from dbops.config.model import Cluster
    from dbops.engine import run as runs
    from dbops.stores import postgres
    here = Cluster(dsn=sys.argv[1], password=SecretFile(file=Path(sys.argv[2])))
    with postgres.only_run(here, runs.new("victim", Path("/nowhere")), target="main", subject="roles"):
        print("held", flush=True)
        sys.stdin.read()
"""


def test_backends_of_a_killed_run_are_ended_and_those_of_living_ones_are_not(
    here: Cluster, run: Run, folder: Path
) -> None:
    argv = [sys.executable, "-c", textwrap.dedent(_HOLDER), here.dsn, str(folder / "password")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "held\n"
        with postgres.connect(here, run, target="main") as connection:
            # Stopped, it keeps its socket open: PostgreSQL cannot know, and the lock would stay.
            assert postgres.reap_dead_runs(connection, "main") == []
            with pytest.raises(LockBusy), postgres.only_run(here, run, target="main", subject="roles"):
                pass
            os.kill(victim.pid, signal.SIGKILL)
            os.waitid(os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT)  # dead, not reaped: a zombie is dead
            postgres.reap_dead_runs(connection, "main")
            with postgres.only_run(here, run, target="main", subject="roles"):
                pass


def test_a_backend_that_a_plain_role_may_not_end_keeps_no_run_from_its_work(
    database: str, folder: Path, run: Run
) -> None:
    name = application_name(run).rpartition(" ")[0] + f" {2**22 + 1}"  # no process can have this number
    with ExitStack() as stack:
        admin = stack.enter_context(psycopg.connect(database, autocommit=True))
        left = stack.enter_context(closing(psycopg.connect(database, application_name=name, autocommit=True)))
        here = stack.enter_context(plain(admin, folder))
        with postgres.connect(here, run, target="main") as connection:
            assert postgres.reap_dead_runs(connection, "main") == []
        assert left.execute("SELECT 1").fetchone() == (1,)
        with postgres.connect(place(database, folder), run, target="main") as connection:
            assert postgres.reap_dead_runs(connection, "main") == [run.id]


@contextmanager
def plain(admin: psycopg.Connection[Any], folder: Path) -> Generator[Cluster]:
    """Make a role without rights, whose settings are as bad as settings of a role can be."""
    name = f"plain_{uuid.uuid4().hex[:8]}"
    admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'".encode())
    bad = ("client_encoding = LATIN1", "default_transaction_read_only = on", "quote_all_identifiers = on")
    for setting in (*bad, "IntervalStyle = sql_standard"):
        admin.execute(f"ALTER ROLE {name} SET {setting}".encode())
    other = folder / "plain"
    other.mkdir()
    yield place(make_conninfo(admin.info.dsn, password="plain", user=name), other)
    admin.execute(f"DROP ROLE {name}".encode())


def test_a_role_that_may_only_read_is_told_so_and_speaks_utf8(database: str, folder: Path, run: Run) -> None:
    with psycopg.connect(database, autocommit=True) as admin, plain(admin, folder) as here:
        with postgres.connect(here, run, target="main") as connection:
            row = connection.execute("SELECT 'é←', 'pg_class'::regclass::text, interval '1 s'").fetchone()
            assert row == ("é←", "pg_class", timedelta(seconds=1))
        with pytest.raises(Refused) as caught, postgres.connect(here, run, target="main") as connection:
            connection.execute("CREATE TABLE one ()")
        assert "ALTER ROLE or ALTER DATABASE" in (caught.value.hint or "")


@pytest.fixture(scope="session")
def tcp_server(base: Path) -> Generator[str]:
    """A server on TCP: poolers and TLS do not exist on Unix sockets."""
    password = "tcp's password"
    server = pg.Server(base / "tcp", port=free_port(), durable=False, wal_segment_mb=1)
    with pg.running(server, password):
        yield make_conninfo(pg.conninfo(server, password=password), host="127.0.0.1")


@pytest.fixture
def pooler(tcp_server: str, folder: Path, request: pytest.FixtureRequest) -> Generator[str]:
    """A real PgBouncer in front of the server, in the pool mode that the test asks for."""
    told = {key: str(value) for key, value in conninfo_to_dict(tcp_server).items()}
    port = free_port()
    secret = told["password"].replace('"', '""')
    account.write_file(folder / "users.txt", f'"{told["user"]}" "{secret}"\n')
    account.write_file(
        folder / "pgbouncer.ini",
        f"""[databases]
* = host={told["host"]} port={told["port"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {request.param}
ignore_startup_parameters = extra_float_digits
""",
    )
    account.give(folder)
    child = process.start(
        [process.find("pgbouncer"), str(folder / "pgbouncer.ini")],
        cwd=folder,
        user=account.name(),
        log=folder / "pgbouncer.log",
    )
    try:
        _await(lambda: "process up" in (folder / "pgbouncer.log").read_text(), child)
        yield make_conninfo(
            "", host="127.0.0.1", port=port, user=told["user"], dbname="postgres", password=told["password"]
        )
    finally:
        child.kill()
        child.wait()


def _await(ready: Callable[[], bool], child: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if ready():
            return
        assert child.poll() is None, "the server ended before it was ready"
        try:
            child.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("the server did not get ready in 10 s")


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_a_pooler_of_transactions_is_refused(pooler: str, folder: Path, run: Run) -> None:
    with pytest.raises(Refused) as caught, postgres.connect(place(pooler, folder), run, target="main"):
        pass
    assert "transaction mode" in str(caught.value)


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
def test_a_pooler_of_sessions_serves(pooler: str, folder: Path, run: Run) -> None:
    here = place(pooler, folder)
    with postgres.only_run(here, run, target="main", subject="roles") as guard:
        guard()


@pytest.fixture
def tls_server(folder: Path, certificate: tuple[Path, Path]) -> Generator[str]:
    """A server that speaks TLS only; its certificate is for `localhost`."""
    cert, key = certificate
    settings = (
        *(("ssl", "on"), ("ssl_min_protocol_version", "TLSv1.3")),
        *(("ssl_cert_file", str(cert)), ("ssl_key_file", str(key))),
    )
    server = pg.Server(folder / "tls", port=free_port(), durable=False, wal_segment_mb=1, settings=settings)
    with pg.running(server, "tls"):
        yield make_conninfo(pg.conninfo(server, password="tls"), host="localhost")


def test_tls_is_spoken_with_whom_the_certificate_names_and_nobody_else(
    tls_server: str, folder: Path, run: Run, certificate: tuple[Path, Path]
) -> None:
    trusted = Tls(mode="verify-full", root_cert=certificate[0])
    with postgres.connect(place(tls_server, folder, tls=trusted), run, target="main") as connection:
        told = postgres.record(connection, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert told == {"ssl": True, "version": "TLSv1.3"}
    stranger = place(tls_server, folder, tls=trusted, host="127.0.0.1")  # the certificate does not name it
    with pytest.raises(Unreachable, match="certificate"), postgres.connect(stranger, run, target="main"):
        pass
    unknown = place(tls_server, folder, tls=Tls(mode="verify-full", root_cert=folder / "nowhere.crt"))
    with pytest.raises(Unreachable, match="root certificate"), postgres.connect(unknown, run, target="main"):
        pass


def test_functions_that_somebody_put_into_the_database_are_not_called(here: Cluster, run: Run, database: str) -> None:
    """Whoever may create functions in `public` would otherwise run them with the administrator's rights."""
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE TABLE public.trapped (who text)")
        for name, arguments, result in (
            ("hashtextextended", "text, int", "bigint"),
            ("pg_terminate_backend", "int, int", "boolean"),
            ("set_config", "text, text, boolean", "text"),
        ):
            trap = f"CREATE FUNCTION public.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS"
            body = f"'BEGIN INSERT INTO public.trapped VALUES (current_user); RETURN NULL::{result}; END'"
            owner.execute(f"{trap} {body}")  # pyright: ignore[reportCallIssue, reportArgumentType]
        with postgres.only_run(here, run, target="main", subject="roles") as guard:
            guard()
        with postgres.connect(here, run, target="main") as connection:
            postgres.reap_dead_runs(connection, "main")
        assert owner.execute("SELECT * FROM public.trapped").fetchall() == []


def test_a_lock_outlives_the_idle_timeout_of_its_role(here: Cluster, run: Run, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("ALTER ROLE postgres SET idle_session_timeout = '50ms'")
        try:
            with postgres.only_run(here, run, target="main", subject="roles") as guard:
                admin.execute("SET idle_session_timeout = 0; SELECT pg_sleep(0.3)")
                guard()
        finally:
            admin.execute("ALTER ROLE postgres RESET idle_session_timeout")


@pytest.mark.parametrize("pooler", ["transaction\ndefault_pool_size = 1"], indirect=True)
def test_a_pooler_of_one_session_is_refused_and_not_waited_for(pooler: str, folder: Path, run: Run) -> None:
    with pytest.raises(Refused, match="pooler"), postgres.connect(place(pooler, folder), run, target="main"):
        pass
