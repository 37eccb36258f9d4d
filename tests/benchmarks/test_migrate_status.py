"""`migrate status` over a hundred databases of one server, one of which does not answer."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import changing
import contracting

_DATABASES = 100
_ROUNDS = 5
_ABSENT = "nobody"


@pytest.fixture
def fleet(server: str, folder: Path) -> Generator[changing.Example]:
    """A database in which a change soaks, and its copies beside it, all of one history."""
    with changing.example(server, folder) as live:
        contracting.switched(live)
        contracting.quiet(live)
        name = str(conninfo_to_dict(live.admin)["dbname"])
        told = conninfo_to_dict(live.owner)
        told.pop("password")
        copies = [f"{name}_{number}" for number in range(_DATABASES - 1)]
        parts: list[str] = []
        with psycopg.connect(make_conninfo(live.admin, dbname="postgres"), autocommit=True) as admin:
            for number, copy in enumerate((*copies, _ABSENT)):
                if copy != _ABSENT:
                    text = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                    admin.execute(text.format(sql.Identifier(copy), sql.Identifier(name)))
                where = {**told, "dbname": copy} if copy != _ABSENT else {**told, "host": "/nowhere"}
                section = f'[postgres.copy_{number}]\ncluster = "main"\nmigrations = "{changing.TARGET}"\n'
                parts.append(
                    f"{section}dsn = '''{make_conninfo('', **where)}'''\npassword = {{ file = 'secrets/owner' }}\n"
                )
            contracting.configure(live, *parts)
            yield live
            for copy in copies:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copy)))


def test_status_of_a_hundred_databases_takes_no_more_than_three_seconds(fleet: changing.Example) -> None:
    program = Path(sys.executable).with_name("dbops")
    argv = [program, "migrate", "status", "--config", fleet.toml, "--output", "json"]
    whole: list[float] = []
    out = b""
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, cwd=fleet.folder, check=False)
        whole.append(time.perf_counter() - began)
        assert done.returncode == 75
        out = done.stdout
    told = json.loads(out)
    assert len(told["data"]["databases"]) == _DATABASES
    assert [one["target"] for one in told["findings"] if one["code"] == "unreachable"] == [f"copy_{_DATABASES - 1}"]
    assert all(len(one["changes"]) == 1 for one in told["data"]["databases"])
    began = time.perf_counter()
    for number in range(_DATABASES - 1):
        name = f"{conninfo_to_dict(fleet.owner)['dbname']}_{number}"
        with psycopg.connect(make_conninfo(fleet.owner, dbname=name)) as connection:
            connection.execute("SELECT 1")
    bare = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"\nCPU of dbops: {(used.ru_utime + used.ru_stime) / _ROUNDS:.2f} s a round;"
        f" migrate status over {_DATABASES} databases, an open change in each: best of {_ROUNDS}: {min(whole):.2f} s;"
        f" a hundred bare connections, one after the other: {bare:.2f} s (ratio {min(whole) / bare:.1f})"
    )
    assert min(whole) <= max(3.0, 2.5 * bare), "a host that is slow to connect is slow to look at"
