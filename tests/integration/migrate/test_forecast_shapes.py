"""What dbops itself writes for a change is safe by its own rules, as far as it goes without a rewrite of the plan."""

from collections.abc import Mapping

import pytest

from dbops.engine.finding import Severity
from dbops.operations.migrate import effects
from dbops.operations.migrate.forecast import check, phases, trial
from dbops.operations.migrate.forecast.facts import Sizes
from dbops.operations.migrate.forecast.script import Written
from dbops.operations.migrate.shapes import belongings
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.dropped import Dropped
from dbops.operations.migrate.shapes.enums import EnumValue
from dbops.operations.migrate.shapes.index import Index
from dbops.operations.migrate.shapes.not_null import NotNull
from dbops.operations.migrate.shapes.replaced import Replaced
from dbops.operations.migrate.shapes.shape import Do, Shape

from migrating import rows

SHOP = """
    CREATE TABLE buyers (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (id bigint PRIMARY KEY, total int NOT NULL DEFAULT 0, note varchar(10), buyer bigint);
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE TABLE days (id bigint NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"""
ORDERS, DAYS = "public.orders", "public.days"
TO_BUYERS = "FOREIGN KEY (%s) REFERENCES public.buyers (id)"
SAME = {"id": "r.id", "total": "r.total"}
V2 = "CREATE TABLE public.orders_v2 (id bigint PRIMARY KEY, total bigint)"
SHAPES: Mapping[str, Shape] = {
    "a constant default": Columns(ORDERS, (New("c", "int", default="1"),)),
    "a volatile default": Columns(
        ORDERS, (New("c", "uuid", not_null=True, default="gen_random_uuid()"),), up={"c": "gen_random_uuid()"}
    ),
    "a rename": Columns(ORDERS, (New("sum", "int", True, "0"),), ("total",), {"sum": "r.total"}, {"total": "r.sum"}),
    "a rename with what stands on it": Columns(
        ORDERS,
        (New("sum", "int", True, "0"),),
        ("total",),
        {"sum": "r.total"},
        {"total": "r.sum"},
        carry=(
            Constraint(ORDERS, "k", "UNIQUE (sum, id)"),
            Index(ORDERS, "i", "(abs(sum)) WHERE sum > 0"),
            Constraint(ORDERS, "c", "CHECK (sum >= 0)"),
            Constraint(ORDERS, "f", TO_BUYERS % "sum"),
        ),
    ),
    "a type": Columns(ORDERS, (New("big", "bigint"),), ("total",), {"big": "r.total"}, {"total": "r.big::int"}),
    "not null": NotNull(ORDERS, "note", "''"),
    "check": Constraint(ORDERS, "c", "CHECK (total > 0)"),
    "a foreign key": Constraint(ORDERS, "c", TO_BUYERS % "buyer"),
    "unique": Constraint(ORDERS, "c", "UNIQUE (note)"),
    "a foreign key of a partitioned table": Constraint(DAYS, "c", TO_BUYERS % "id", partitioned=True),
    "unique on a partitioned table": Constraint(DAYS, "c", "UNIQUE (id, day)", partitioned=True),
    "an index": Index(ORDERS, "i", "(note)"),
    "an index of a partitioned table": Index(DAYS, "i", "(id)", partitioned=True),
    "an enum value": EnumValue("public.mood", "keen"),
    "a column to drop": Dropped(ORDERS, ("note",)),
    "a table to drop": Dropped("public.buyers"),
    "a table to replace": Replaced(ORDERS, "public.orders_v2", V2, ("id",), up=SAME, down=SAME),
}


def written(statements: tuple[Do, ...]) -> list[Written]:
    """Put them into transactions as a revision does."""
    found: list[Written] = []
    transaction = 0
    for number, one in enumerate(statements, 1):
        outside = one.alone or one.asks
        transaction += outside
        text = f"{one.sql}\n{effects.ASKED}" if one.asks else one.sql
        found.append(Written("expand", number, text, None if outside else transaction))
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_expand_hurts_nobody(database: str, name: str) -> None:
    with rows(database) as connection:
        connection.execute(SHOP)
    built = [do for one in belongings.carried(SHAPES[name]) for do in belongings.build("change", one)]
    found = trial.tried(database, {"expand": written((*SHAPES[name].expand("change"), *built))}, {"expand"})
    assert found.error is None
    hazards = [*check.hazards(found.seen, Sizes()), *phases.hazards("expand", "expand", found.seen)]
    assert [one.message for one in hazards if one.severity is not Severity.INFO] == []
    assert [one.rewritten for one in found.seen if one.rewritten] == []
