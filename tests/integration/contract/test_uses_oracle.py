"""PostgreSQL as the oracle of `uses`: what it cannot prepare any more once the column is gone, has used it."""

from collections.abc import Generator
from typing import LiteralString, cast

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from dbops.operations.migrate.contract.uses import Old, Use, use

_OLD = Old(("public", "users"), frozenset({"title"}), {"title": frozenset({("public", "teams")}), "users": frozenset()})

_ALIAS = st.sampled_from(["", "u", "AS u", 'AS "U x"', "t", "AS teams_"])
_TABLE = st.sampled_from(["users", "public.users", '"users"', "ONLY users", "teams", "public.teams", "USERS"])
_COLUMN = st.sampled_from(
    [
        *("title", '"title"', "TITLE", "id", "full_title", "users.title", "u.title", "t.title", '"U x".title'),
        *("public.users.title", "teams.title", "u", "users", "(u).title", "*", "u.*", "count(*)", "lower(title)"),
        *("full_title AS title", "s.title", "1"),
    ]
)
_CONDITION = st.sampled_from(
    [
        *("true", "title = 'x'", "u.title IS DISTINCT FROM t.title", "id = 1", "title IN (SELECT title FROM teams)"),
        "id IN (SELECT id FROM teams WHERE title = 'a')",
        "EXISTS (SELECT FROM users x WHERE x.title = 'b')",
        "extract(year FROM now()) > 1",
        "id IN (SELECT id FROM users)",
        "EXISTS (SELECT FROM teams WHERE teams.id = id AND title > '')",
    ]
)
_SOURCE = st.one_of(
    st.builds("{} {}".format, _TABLE, _ALIAS),
    st.builds("(SELECT {} FROM {} {}) AS s".format, _COLUMN, _TABLE, _ALIAS),
    st.builds("LATERAL (SELECT {} FROM {}) s".format, _COLUMN, _TABLE),
)
_SOURCES = st.one_of(
    _SOURCE,
    st.builds("{}, {}".format, _SOURCE, _SOURCE),
    st.builds("{} JOIN {} ON {}".format, _SOURCE, _SOURCE, _CONDITION),
    st.builds("{} JOIN {} USING ({})".format, _SOURCE, _SOURCE, st.sampled_from(["id", "title", "id, title"])),
    st.builds("{} NATURAL JOIN {}".format, _SOURCE, _SOURCE),
    st.builds("({} CROSS JOIN {})".format, _SOURCE, _SOURCE),
)
_SELECT = st.builds(
    "SELECT {} FROM {} WHERE {} {}".format,
    st.lists(_COLUMN, min_size=1, max_size=2).map(", ".join),
    _SOURCES,
    _CONDITION,
    st.sampled_from(["", "ORDER BY 1", "ORDER BY title", "FOR UPDATE", "LIMIT 1", "GROUP BY title"]),
)
_WRITE = st.one_of(
    st.builds("UPDATE {} SET {} WHERE {}".format, _TABLE, st.sampled_from(["title = 'x'", "id = 1"]), _CONDITION),
    st.builds("UPDATE users u SET full_title = {} FROM {}".format, _COLUMN, _SOURCE),
    st.builds(
        "INSERT INTO {} {} RETURNING {}".format, _TABLE, st.sampled_from(["(id, title) VALUES (1, 'x')"]), _COLUMN
    ),
    st.builds("INSERT INTO users (id, full_title) SELECT id, {} FROM {}".format, _COLUMN, _SOURCES),
    st.builds(
        "INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET full_title = {}".format,
        st.sampled_from(["excluded.title", "users.title", "excluded.full_title"]),
    ),
    st.builds("DELETE FROM {} USING {} WHERE {}".format, _TABLE, _SOURCE, _CONDITION),
    st.builds(
        "MERGE INTO users u USING {} ON u.id = 1 WHEN MATCHED THEN UPDATE SET {}".format,
        _SOURCE,
        st.sampled_from(["title = 'x'", "full_title = 'x'"]),
    ),
)
_STATEMENT = st.one_of(
    _SELECT,
    _WRITE,
    st.builds("WITH s AS ({}) {}".format, _SELECT, _SELECT),
    st.builds("WITH s AS MATERIALIZED (DELETE FROM users RETURNING {}) SELECT {} FROM s".format, _COLUMN, _COLUMN),
    st.builds("{} UNION ALL {}".format, _SELECT, _SELECT),
)


_USERS: dict[str, LiteralString] = {
    "title": "CREATE TEMP TABLE users (id int PRIMARY KEY, title text, team int, full_title text)",
    "gone": "CREATE TEMP TABLE users (id int PRIMARY KEY, gone text, team int, full_title text)",
}


@pytest.fixture(scope="module")
def oracle(server: str) -> Generator[tuple[psycopg.Connection, psycopg.Connection]]:
    """Two sessions in transactions of their own: one sees the column, the other does not any more."""
    with psycopg.connect(server) as before, psycopg.connect(server) as after:
        for connection, old in ((before, "title"), (after, "gone")):
            connection.execute("CREATE TEMP TABLE teams (id int, title text, users int)")
            connection.execute(_USERS[old])
        yield before, after
        before.rollback()
        after.rollback()


def prepares(connection: psycopg.Connection, text: str) -> bool:
    text = text.replace("public.", "pg_temp.")
    try:
        with connection.transaction():
            connection.execute(sql.SQL(cast("LiteralString", f"PREPARE it AS {text}")))
            connection.execute("DEALLOCATE it")
    except psycopg.Error:
        return False
    return True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=_STATEMENT)
def test_what_fails_without_the_column_was_never_taken_for_harmless(
    oracle: tuple[psycopg.Connection, psycopg.Connection], text: str
) -> None:
    before, after = oracle
    if prepares(before, text) and not prepares(after, text):
        assert use(text, _OLD) is not Use.NONE
