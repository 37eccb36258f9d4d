"""Refreshes on a real server: order, locks, failures, history."""

import itertools
import threading
import uuid
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbops.engine.finding import Severity
from dbops.engine.plan import Risk
from dbops.errors import DbopsError, LockBusy, Refused
from dbops.operations.views import check, ready
from dbops.operations.views.facts import Wanted
from dbops.stores import postgres

from views_shop import Shop

CHAIN = """
    CREATE SCHEMA reports;
    CREATE TABLE orders (id int PRIMARY KEY, buyer int);
    INSERT INTO orders SELECT n, n % 3 FROM generate_series(1, 9) n;
    CREATE MATERIALIZED VIEW zero AS SELECT buyer, count(*) AS many FROM orders GROUP BY buyer;
    CREATE UNIQUE INDEX ON zero (buyer);
    CREATE VIEW between_them AS SELECT * FROM zero;
    CREATE MATERIALIZED VIEW reports.a AS SELECT sum(many) AS total FROM between_them;
    CREATE MATERIALIZED VIEW alone AS SELECT count(*) AS many FROM orders;
"""


def test_a_view_comes_behind_those_that_it_reads_through_views_and_schemas(shop: Shop) -> None:
    shop.sql(CHAIN)
    assert shop.refresh() == ["public.alone", "public.zero", "reports.a"]
    shop.sql("INSERT INTO orders VALUES (10, 1)")
    shop.refresh()
    assert shop.rows("reports.a") == [(10,)]
    assert shop.planned()[0] == []  # what the refresh of one wrote is no change to those above it, any more


def test_only_what_reads_the_table_is_downstream_of_it(shop: Shop) -> None:
    shop.sql(
        CHAIN + "CREATE TABLE t (at date) PARTITION BY RANGE (at); CREATE TABLE part PARTITION OF t DEFAULT;"
        "CREATE MATERIALIZED VIEW of_parts AS SELECT * FROM t;"
    )
    assert shop.planned(Wanted(downstream_of="zero"))[0] == ["reports.a"]
    assert shop.planned(Wanted(downstream_of="public.orders"))[0] == ["public.alone", "public.zero", "reports.a"]
    assert shop.planned(Wanted(downstream_of="part"))[0] == ["public.of_parts"]
    assert shop.planned(Wanted(downstream_of="t"))[0] == ["public.of_parts"]


def test_without_a_unique_index_readers_wait_and_the_plan_says_what_is_missing(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.sql("CREATE UNIQUE INDEX ON alone (many) WHERE many > 0; ANALYZE")  # not over all rows: of no use
    opening = ready.refresh(shop.config(), "shop", shop.run(plan_only=True), shop.facts().now, wanted=Wanted())
    with opening as plan:
        risks = {step.id: step.risk for step in plan.plan.steps}
        assert risks["refresh public.alone"] is Risk.BLOCKS
        assert risks["refresh public.zero"] is Risk.SAFE
        hints = {finding.hint for finding in plan.findings if finding.code == "plain-refresh"}
    assert "CREATE UNIQUE INDEX CONCURRENTLY ON public.alone (many)" in hints
    assert not shop.planned(alone={"mode": "plain"}, reports__a={"mode": "plain"})[1]
    [refused] = shop.planned(Wanted(names=("alone",)), alone={"mode": "concurrently"})[1]
    assert refused.code == "refused"


@pytest.mark.parametrize(
    ("index", "usable"),
    [
        ("CREATE UNIQUE INDEX ON v (n)", True),
        ("CREATE UNIQUE INDEX ON v (n, m)", True),
        ("CREATE UNIQUE INDEX ON v (n) INCLUDE (m)", True),
        ("CREATE INDEX ON v (n)", False),
        ("CREATE UNIQUE INDEX ON v ((n + 1))", False),
        ("CREATE UNIQUE INDEX ON v (n) WHERE n > 0", False),
    ],
)
def test_an_index_is_usable_when_the_server_takes_it(shop: Shop, index: str, usable: bool) -> None:
    shop.sql(f"CREATE MATERIALIZED VIEW v AS SELECT n, n AS m FROM generate_series(1, 3) n; {index}")
    assert (shop.view("v").key is not None) is usable
    try:
        shop.sql("REFRESH MATERIALIZED VIEW CONCURRENTLY v")
        assert usable
    except psycopg.errors.ObjectNotInPrerequisiteState:
        assert not usable


def test_the_first_fill_is_plain_and_blocks_nobody(shop: Shop) -> None:
    shop.sql("CREATE MATERIALIZED VIEW v AS SELECT 1 AS n WITH NO DATA; CREATE UNIQUE INDEX ON v (n)")
    opening = ready.refresh(shop.config(), "shop", shop.run(plan_only=True), shop.facts().now, wanted=Wanted())
    with opening as plan:
        step = plan.plan.steps[-1]
        assert step.statements[0].shown() == "REFRESH MATERIALIZED VIEW public.v"
        assert step.risk is Risk.SAFE
    shop.refresh()
    assert shop.rows("v") == [(1,)]


@pytest.mark.parametrize("jobs", [1, 3])
def test_views_above_a_failed_one_are_left_out_and_the_others_are_not(shop: Shop, jobs: int) -> None:
    shop.sql(CHAIN)
    shop.sql("CREATE MATERIALIZED VIEW ratio AS SELECT sum(1 / nullif(many - 3, 0)) AS r FROM zero")
    shop.refresh()
    shop.sql("INSERT INTO orders VALUES (10, 1)")
    shop.sql("CREATE OR REPLACE VIEW between_them AS SELECT buyer, many / (many - many) AS many FROM zero")
    shop.sql("CREATE MATERIALIZED VIEW top AS SELECT * FROM reports.a WITH NO DATA")
    with pytest.raises(DbopsError) as raised:
        shop.refresh(Wanted(jobs=jobs))
    assert "division by zero" in str(raised.value)
    assert "public.top was left out, because reports.a below it failed" in str(raised.value)
    assert shop.rows("reports.a") == [(9,)]
    assert shop.rows("alone") == [(10,)]
    view = shop.view("a")
    assert view.past.outcome == "failed"
    assert "division by zero" in (view.past.error or "")
    codes = {one.code for one in check.check(shop.facts(), {})}
    assert {"DBW103", "DBW105"} <= codes


def test_several_at_a_time_end_as_one_by_one(shop: Shop) -> None:
    shop.sql(CHAIN)
    for number in range(6):
        shop.sql(f"CREATE MATERIALIZED VIEW v{number} AS SELECT {number} + count(*) AS n FROM zero")
    shop.refresh(Wanted(jobs=3))
    shop.sql("INSERT INTO orders VALUES (10, 4)")
    assert shop.refresh(Wanted(jobs=3)) == ["wave 1", "wave 2"]
    assert [shop.rows(f"v{number}") for number in range(6)] == [[(number + 4,)] for number in range(6)]
    assert shop.planned()[0] == []


def test_a_lock_on_the_view_is_waited_for_briefly_and_told(shop: Shop) -> None:
    shop.sql(CHAIN)
    with psycopg.connect(shop.conninfo) as other:
        other.execute("SELECT * FROM alone")  # a reader of a view that has no unique index
        with pytest.raises(LockBusy, match=r"held by .*pid \d+"):
            shop.refresh(Wanted(names=("alone",)))
        assert shop.refresh(Wanted(names=("zero",))) == ["public.zero"]
    assert shop.refresh(Wanted(names=("alone",))) == ["public.alone"]


def test_who_reads_goes_on_reading_during_a_concurrent_refresh(shop: Shop) -> None:
    shop.sql(CHAIN)
    with psycopg.connect(shop.conninfo) as reader:
        reader.execute("SELECT * FROM zero")
        shop.sql("INSERT INTO orders VALUES (10, 4)")
        assert shop.refresh(Wanted(names=("zero",))) == ["public.zero"]


def test_a_refresh_ends_at_its_timeout_and_is_on_record(shop: Shop) -> None:
    shop.sql("CREATE MATERIALIZED VIEW slow AS SELECT pg_sleep(30)::text AS s WITH NO DATA")
    with pytest.raises(DbopsError, match="longer than its timeout of 200 ms"):
        shop.refresh(slow={"timeout": "200ms"})
    assert shop.view("slow").past.outcome == "failed"


def test_two_runs_share_the_views_out_between_them(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.refresh()
    shop.sql("INSERT INTO orders VALUES (10, 4)")
    config = shop.config()
    mine = postgres.only_runs(config.postgres["shop"], shop.run(), target="shop", subjects=["view:public.zero"])
    with mine:
        run = shop.run()
        with ready.refresh(config, "shop", run, shop.facts().now, wanted=Wanted()) as plan:
            assert [step.id for step in plan.plan.steps] == ["refresh public.alone"]
            told = {finding.code: finding.severity for finding in plan.findings}
            assert told["locked"] is Severity.ERROR
            assert told["left-out"] is Severity.INFO
        with ready.refresh(config, "shop", run, shop.facts().now, wanted=Wanted(), skip_busy=True) as plan:
            assert {finding.severity for finding in plan.findings} == {Severity.INFO}
        with (
            pytest.raises(LockBusy, match="at work on shop"),
            ready.refresh(config, "shop", run, shop.facts().now, wanted=Wanted(names=("zero",))),
        ):
            pass


def test_a_name_that_is_not_there_is_refused(shop: Shop) -> None:
    shop.sql(CHAIN)
    with pytest.raises(Refused, match="is no materialized view"):
        shop.planned(Wanted(names=("orders",)))


@pytest.mark.parametrize(
    ("owns", "force", "bypass", "through"),
    list(itertools.product([True, False], [True, False], [True, False], ["", "view", "invoker"])),
)
def test_a_refresh_is_refused_exactly_where_row_security_would_take_rows(
    shop: Shop, owns: bool, force: bool, bypass: bool, through: str
) -> None:
    """What is told beforehand is compared with what the server then does."""
    mark = uuid.uuid4().hex[:8]
    owner, other = f"owner_{mark}", f"other_{mark}"
    source = "middle" if through else "secured"
    option = "WITH (security_invoker)" if through == "invoker" else ""
    try:
        shop.sql(f"CREATE ROLE {owner} {'BYPASSRLS' if bypass else ''}; CREATE ROLE {other}")
        shop.sql(
            f"CREATE TABLE secured (n int); INSERT INTO secured VALUES (1), (2);"
            f"ALTER TABLE secured OWNER TO {owner if owns else other};"
            f"GRANT SELECT ON secured TO {owner}, {other};"
            f"CREATE VIEW middle {option} AS SELECT * FROM secured; GRANT SELECT ON middle TO {owner};"
            f"ALTER VIEW middle OWNER TO {other};"
            f"CREATE MATERIALIZED VIEW m AS SELECT * FROM {source}; ALTER MATERIALIZED VIEW m OWNER TO {owner};"
            f"ALTER TABLE secured ENABLE ROW LEVEL SECURITY;"
            f"{'ALTER TABLE secured FORCE ROW LEVEL SECURITY' if force else ''}"
        )
        assert shop.rows("m") == [(1,), (2,)]
        names, findings = shop.planned()
        refused = [finding for finding in findings if finding.code == "refused"]
        assert (names == []) is bool(refused)
        shop.sql("REFRESH MATERIALIZED VIEW m")
        assert bool(refused) is (shop.rows("m") == [])
        assert ("DBW102" in {one.code for one in check.check(shop.facts(), {})}) is bool(refused)
    finally:
        shop.sql(f"DROP OWNED BY {owner}, {other} CASCADE; DROP ROLE {owner}, {other}")


def test_a_view_is_compared_with_its_own_query(shop: Shop) -> None:
    shop.sql(CHAIN + "CREATE TABLE spots (p point); CREATE MATERIALIZED VIEW odd AS SELECT * FROM spots;")
    shop.refresh()

    def found() -> dict[str, list[str]]:
        facts, compared = ready.compared(shop.config(), "shop", shop.run(), ())
        told = [one for one in check.check(facts, {}, compared) if one.code in {"DBW110", "DBW111"}]
        return {one.code: [other.message for other in told if other.code == one.code] for one in told}

    assert list(found()) == ["DBW110"]  # a type that cannot be compared is not a pass
    shop.sql("DROP MATERIALIZED VIEW odd")
    assert found() == {}
    shop.sql("INSERT INTO orders VALUES (10, 1)")
    assert any("may be its age" in message for message in found()["DBW110"])
    shop.refresh()
    # A function that is called immutable and is not: its view looks unchanged, and is not what its query gives.
    shop.sql(
        "CREATE TABLE hidden (n int); CREATE FUNCTION lies() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS"
        " $$BEGIN RETURN (SELECT count(*) FROM public.hidden); END$$; CREATE MATERIALIZED VIEW lied AS SELECT lies()"
    )
    shop.refresh()
    shop.sql("INSERT INTO hidden VALUES (1)")
    assert "1 rows that its query does not give, and lacks 1" in found()["DBW111"][0]


def test_an_older_ledger_serves_as_well(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.refresh()
    shop.sql("DROP INDEX dbops.entries_of_subject; UPDATE dbops.version SET version = 1")
    shop.sql("INSERT INTO orders VALUES (10, 1)")
    opening = ready.refresh(shop.config(), "shop", shop.run(plan_only=True), shop.facts().now, wanted=Wanted())
    with opening as plan:
        assert "ledger" not in {step.id for step in plan.plan.steps}
    shop.refresh()
    assert shop.planned()[0] == []


def test_the_ledger_does_not_tell_of_another_database(shop: Shop, server: str) -> None:
    """A clone inherits the entries, but not the proof."""
    shop.sql(CHAIN)
    shop.refresh()
    assert shop.planned()[0] == []
    name = f"clone_{uuid.uuid4().hex[:8]}"
    original = shop.one("SELECT current_database()")
    shop.close()
    with psycopg.connect(server, autocommit=True) as admin:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(original))
        admin.execute(made)
        try:
            clone = Shop(make_conninfo(shop.conninfo, dbname=name), shop.folder)
            assert len(clone.planned()[0]) == 3
            assert clone.view("zero").past.last_at is None
            clone.close()
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_an_event_trigger_that_fails_is_a_failed_refresh_and_no_more(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.refresh()
    shop.sql("INSERT INTO orders VALUES (10, 1)")
    shop.sql(
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'not today'; END$$;"
        "CREATE EVENT TRIGGER no ON ddl_command_end WHEN TAG IN ('REFRESH MATERIALIZED VIEW') EXECUTE FUNCTION no()"
    )
    with pytest.raises(DbopsError, match="not today"):
        shop.refresh()
    assert shop.rows("alone") == [(9,)]
    shop.sql("DROP EVENT TRIGGER no")
    shop.refresh()
    assert shop.rows("alone") == [(10,)]


def test_three_runs_at_once_refresh_each_view_once(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.refresh()
    shop.sql("INSERT INTO orders VALUES (10, 1)")
    ended: list[str | BaseException] = []

    def turn() -> None:
        try:
            ended.extend(shop.refresh())
        except DbopsError as error:
            ended.append(error)

    threads = [threading.Thread(target=turn) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(one, str | LockBusy) for one in ended)
    shop.refresh()
    assert shop.planned()[0] == []
    many = "SELECT count(*) FROM dbops.entries WHERE subject = 'view:public.alone' AND kind = 'MatviewRefreshed'"
    assert shop.one(many) == 2
    assert shop.rows("alone") == [(10,)]


def test_staleness_is_missed_only_when_something_has_changed(shop: Shop) -> None:
    shop.sql(CHAIN)
    config = shop.config(zero={"schedule": "1ms", "staleness": "1ms", "timeout": "0.5ms"})

    def declared() -> set[str]:
        return {one.code for one in check.check(shop.facts(), ready.declared_in(config, "shop"))}

    assert "DBW108" in declared()
    shop.refresh()
    assert not {"DBW104", "DBW108"} & declared()
    shop.sql("INSERT INTO orders VALUES (10, 1)")
    assert "DBW104" in declared()
    age = shop.facts().ages()[shop.view("zero").oid]
    assert age is not None
    assert age > timedelta(0)
