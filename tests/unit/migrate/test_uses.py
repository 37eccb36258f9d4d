"""Whether a statement uses an old name: never taken for unused when it is used."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.migrate.contract.uses import Old, Use, use, use_in_function

NAME = Old(
    ("public", "users"),
    frozenset({"name"}),
    {"name": frozenset({("public", "teams"), ("shop", "users")}), "users": frozenset()},
)
TWIN = Old(NAME.table, NAME.columns, NAME.others, twins=True)
TABLE = Old(("public", "orders"), others={"orders": frozenset({("public", "stats")})})

_COLUMN = [
    ("SELECT name FROM users WHERE id = $1", Use.USED),
    ("SELECT full_name FROM users WHERE id = $1", Use.NONE),
    ("SELECT full_name AS name FROM users", Use.NONE),
    ("SELECT u.full_name AS name FROM users AS u", Use.NONE),
    ("SELECT u.name FROM public.users u", Use.USED),
    ('SELECT "u"."name" FROM "public"."users" "u"', Use.USED),
    ('SELECT u."Name" FROM users u', Use.NONE),
    ("SELECT U.NAME FROM Users U", Use.USED),
    ("SELECT name FROM shop.users", Use.NONE),
    ("SELECT t.name FROM users u JOIN teams t ON t.id = u.team", Use.NONE),
    ("SELECT t.name, u.name FROM users u JOIN teams t USING (id)", Use.USED),
    ("SELECT name FROM users u JOIN teams t ON t.id = u.team", Use.UNCLEAR),
    ("SELECT name FROM users u JOIN orders o ON o.user_id = u.id", Use.USED),
    ("SELECT name FROM teams", Use.NONE),
    ("SELECT * FROM users", Use.WHOLE_ROW),
    ("SELECT u.* FROM users u JOIN teams t ON true", Use.WHOLE_ROW),
    ("SELECT t.* FROM users u JOIN teams t ON true", Use.NONE),
    ("SELECT DISTINCT ON (id) * FROM users", Use.WHOLE_ROW),
    ("SELECT id, * FROM users", Use.WHOLE_ROW),
    ("SELECT * FROM (SELECT id FROM users) s", Use.NONE),
    ("SELECT s.id FROM (SELECT * FROM users) s", Use.WHOLE_ROW),
    ("SELECT count(*) FROM users", Use.NONE),
    ("SELECT id * $1 FROM users", Use.NONE),
    ("SELECT to_jsonb(u) FROM users u", Use.WHOLE_ROW),
    ("SELECT users FROM users", Use.WHOLE_ROW),
    ("TABLE users", Use.WHOLE_ROW),
    ("INSERT INTO users (id, name) VALUES ($1, $2)", Use.USED),
    ("INSERT INTO users (id, full_name) VALUES ($1, $2)", Use.NONE),
    ("INSERT INTO users VALUES ($1, $2)", Use.USED),
    ("INSERT INTO users SELECT id FROM teams", Use.USED),
    ("INSERT INTO users DEFAULT VALUES", Use.NONE),
    ("INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET name = excluded.name", Use.USED),
    ("INSERT INTO users (id) VALUES ($1) RETURNING *", Use.WHOLE_ROW),
    ("UPDATE users SET name = $1 WHERE id = $2", Use.USED),
    ("UPDATE users SET full_name = $1 WHERE id = $2", Use.NONE),
    ("UPDATE ONLY users u SET full_name = t.name FROM teams t WHERE t.id = u.team", Use.NONE),
    ("DELETE FROM users WHERE name = $1", Use.USED),
    ("DELETE FROM users u USING teams t WHERE t.name = $1 AND t.id = u.team", Use.NONE),
    ("WITH d AS (DELETE FROM users RETURNING name) SELECT $1", Use.USED),
    ("WITH d AS (DELETE FROM users RETURNING id) SELECT d.name FROM d", Use.NONE),
    ("SELECT id FROM users ORDER BY name", Use.USED),
    ("SELECT id FROM users WHERE extract(year FROM born) = $1 AND name = $2", Use.USED),
    ("SELECT id FROM users WHERE a IS DISTINCT FROM name", Use.USED),
    ("SELECT id FROM teams t, users u WHERE t.name = $1", Use.NONE),
    ("SELECT id FROM teams t CROSS JOIN LATERAL (SELECT name FROM users u) x", Use.USED),
    ("SELECT a.id FROM (users u JOIN teams t ON true) AS a WHERE u.name = $1", Use.USED),
    ("SELECT id FROM users u FOR UPDATE OF u", Use.NONE),
    ("COPY users (id, name) TO STDOUT", Use.USED),
    ("COPY users TO STDOUT", Use.USED),
    ("COPY (SELECT name FROM users) TO STDOUT", Use.USED),
    ("MERGE INTO users u USING teams t ON t.id = u.id WHEN MATCHED THEN UPDATE SET name = $1", Use.UNCLEAR),
    ("SELECT x.a FROM (SELECT t.name AS a FROM teams t) x JOIN users u ON lower(u.name) = x.a", Use.USED),
    ("SELECT id FROM users u WHERE EXISTS (SELECT FROM teams t WHERE t.id = u.team AND lower(name) = $1)", Use.UNCLEAR),
    ("SELECT name FROM users u JOIN (SELECT id FROM teams) t ON t.id = u.team", Use.UNCLEAR),
    ("WITH t AS (SELECT id FROM teams) SELECT name FROM users, t", Use.UNCLEAR),
    ("SELECT id /* name */ FROM users -- name", Use.NONE),
    ("SELECT 'name' FROM users", Use.NONE),
    ("SELECT name($1) FROM users", Use.NONE),
    ("DO $x$ BEGIN PERFORM name FROM users; END $x$", Use.USED),
    ("VACUUM users", Use.NONE),
    ("ANALYZE users (name)", Use.NONE),
    ("CREATE INDEX ON users (name)", Use.UNCLEAR),
    ("SELECT id FROM users LIMIT $1 OFFSET $2", Use.NONE),
    ('SELECT U&"n\\0061me" FROM users', Use.USED),
    ('SELECT name FROM U&"us\\+000065rs"', Use.USED),
    ("SELECT id FROM users NATURAL JOIN teams", Use.UNCLEAR),
    ("SELECT id FROM users NATURAL JOIN orders", Use.NONE),
    ("SELECT b FROM users AS u (a, b)", Use.WHOLE_ROW),
    ("INSERT INTO users AS u (id) VALUES ($1)", Use.NONE),
    ("SELECT x.* FROM (users u JOIN teams t ON true) x", Use.WHOLE_ROW),
    ("MERGE INTO users u USING teams t ON true WHEN NOT MATCHED THEN INSERT VALUES ($1, $2)", Use.USED),
    ("MERGE INTO users u USING teams t ON true WHEN NOT MATCHED THEN INSERT (id) VALUES ($1)", Use.NONE),
    ("MERGE INTO teams t USING users u ON true WHEN NOT MATCHED THEN INSERT VALUES ($1, $2)", Use.NONE),
    ("CREATE TABLE copies AS TABLE users", Use.WHOLE_ROW),
    ("CREATE TABLE copies (LIKE users)", Use.UNCLEAR),
    ("SELECT json_populate_record(NULL::users, $1)", Use.UNCLEAR),
    ("CREATE INDEX ON users (full_name)", Use.NONE),
    ("SELECT id /* a /* b */ ' */, name FROM users /* ' */", Use.USED),
    ("DO $x$ BEGIN EXECUTE 'UPDATE users SET name = 1'; END $x$", Use.UNCLEAR),
    ("DO LANGUAGE plpgsql 'BEGIN PERFORM name FROM users; END'", Use.UNCLEAR),
    ("DO $x$ BEGIN PERFORM full_name FROM users; END $x$", Use.NONE),
]


@pytest.mark.parametrize(("text", "found"), _COLUMN, ids=[text for text, _ in _COLUMN])
def test_how_a_statement_uses_a_column(text: str, found: Use) -> None:
    assert use(text, NAME) is found


_TABLE = [
    ("SELECT id FROM orders", Use.USED),
    ("SELECT id FROM public.orders o", Use.USED),
    ("SELECT id FROM archive.orders", Use.NONE),
    ("SELECT orders FROM stats", Use.NONE),
    ("SELECT id FROM users, orders", Use.USED),
    ("TRUNCATE TABLE users, orders", Use.USED),
    ("LOCK TABLE orders IN SHARE MODE", Use.USED),
    ("INSERT INTO orders (id) VALUES ($1)", Use.USED),
    ("SELECT $1::regclass", Use.NONE),
    ("ANALYZE orders", Use.NONE),
]


@pytest.mark.parametrize(("text", "found"), _TABLE, ids=[text for text, _ in _TABLE])
def test_how_a_statement_uses_a_table(text: str, found: Use) -> None:
    assert use(text, TABLE) is found


def test_where_another_schema_has_such_a_table_an_unqualified_use_is_unclear() -> None:
    assert use("SELECT name FROM users", TWIN) is Use.UNCLEAR
    assert use("SELECT name FROM public.users", TWIN) is Use.USED


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("BEGIN SELECT name INTO x FROM users; RETURN x; END", Use.USED),
        ("BEGIN SELECT full_name INTO x FROM users; RETURN x; END", Use.NONE),
        ("BEGIN EXECUTE 'SELECT name FROM users'; END", Use.UNCLEAR),
        ("BEGIN EXECUTE format('SELECT %I FROM users', 'name'); END", Use.UNCLEAR),
        ("BEGIN NEW.slug := lower(NEW.name); RETURN NEW; END", Use.USED),
        ("BEGIN NEW.slug := lower(NEW.title); RETURN NEW; END", Use.NONE),
        ("BEGIN NEW.slug := (NEW).name; RETURN NEW; END", Use.USED),
        ("BEGIN NEW.slug := to_jsonb(NEW) ->> 'name'; RETURN NEW; END", Use.UNCLEAR),
        ("BEGIN SELECT f('a;b', name, 'c') INTO x FROM users; END", Use.USED),
        ("DECLARE it users%ROWTYPE; BEGIN it := f(); RETURN it.name; END", Use.UNCLEAR),
        ("DECLARE n int; it public.users; BEGIN it := f(); RETURN it.name; END", Use.UNCLEAR),
        ("DECLARE it users%ROWTYPE; BEGIN it := f(); RETURN it.full_name; END", Use.NONE),
    ],
)
def test_how_a_function_uses_a_column(body: str, found: Use) -> None:
    assert use_in_function(body, NAME, of_its_trigger=True) is found


_SPACE = st.sampled_from([" ", "\n", "\t", " /* users */ ", " -- x\n"])
_CASE = st.sampled_from([str.lower, str.upper, str.title])


@given(_SPACE, _CASE, st.sampled_from([text for text, found in _COLUMN if found is Use.USED and '"' not in text]))
def test_neither_case_nor_white_space_hides_a_use(space: str, case: Callable[[str], str], text: str) -> None:
    assert use(case(text).replace(" ", space), NAME) is Use.USED


@given(st.text(alphabet="selct from users name ,.*()\"'$;=u1\n-/", max_size=80))
def test_no_text_is_too_strange(text: str) -> None:
    assert isinstance(use(text, NAME), Use)
