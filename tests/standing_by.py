"""A hot standby of a server for tests that read from one."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from dbops import process
from dbops.engine import clock
from dbops.servers import account
from dbops.servers import postgres as pg


@contextmanager
def standby(
    primary: str, home: Path, password: str, *, settings: tuple[tuple[str, str], ...] = ()
) -> Generator[pg.Server]:
    """Copy a running server (its superuser's conninfo), and let the copy follow it as long as the block lasts."""
    server = pg.Server(home, durable=False, wal_segment_mb=1, settings=(("hot_standby", "on"), *settings))
    account.make_folder(home)
    program = pg.program("pg_basebackup")
    copy = [program, "-D", server.data, "-d", primary, "-X", "stream", "-c", "fast", "--no-sync", "-R"]
    process.run(copy, user=account.name(), cwd=home)
    with pg.running(server, password) as live:
        yield live


def catch_up(primary: str, standby: str) -> None:
    """Wait until a standby has what the primary has by now: a new database is not there at once."""
    with psycopg.connect(primary, autocommit=True) as written, psycopg.connect(standby, autocommit=True) as replayed:
        row = written.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        assert row is not None
        deadline = clock.monotonic() + 60
        while replayed.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row).fetchone() != (True,):
            assert clock.monotonic() < deadline, f"the standby has not replayed {row[0]} within a minute"
