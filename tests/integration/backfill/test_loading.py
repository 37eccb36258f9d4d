"""The load that tests put beside a change tells what its clients met."""

import psycopg

import loading


def test_a_load_counts_its_transactions_and_its_failures_by_client_and_sqlstate(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, n int)")
        connection.execute("INSERT INTO t SELECT n, 0 FROM generate_series(1, 10) n")
        good = loading.Client(
            "good", (loading.Ask("UPDATE t SET n = n + 1 WHERE id = %s", lambda r: (r.randrange(1, 11),)),)
        )
        bad = loading.Client("bad", (loading.Ask("SELECT 1 / %s::int", lambda _: (0,)),), pause_s=0.01)
        with loading.under_load(database, [good, bad], long_read="SELECT count(*) FROM t") as load:
            load.more(10)
        written = connection.execute("SELECT sum(n) FROM t").fetchone()
    assert written == (len(load.times_ms["good"]),)
    assert set(load.failures) == {("bad", "22012")}
    assert load.failed >= 10
    assert load.long_reads == 1
    assert load.longest_ms >= load.p99_ms > 0


def test_a_load_tells_how_long_its_clients_waited_for_a_lock(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
        connection.commit()
        with loading.under_load(database, [loading.Client("reader", (loading.Ask("SELECT * FROM t"),))]) as load:
            connection.execute("LOCK TABLE t")
            load.waiting(100)
            connection.commit()
    assert load.failed == 0
