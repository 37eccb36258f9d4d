"""The seed's own rows: as many as promised, for columns that exist, and the same every time."""

import hashlib
import json
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from dbops.sandbox.facts import EXAMPLE
from dbops.sandbox.seed import documents, entries, keys, people
from dbops.sandbox.seed.databases import TABLES
from dbops.sandbox.seed.facts import MEDIUM, SMALL, UNTIL, Size
from dbops.sandbox.seed.lines import Table, written
from dbops.sandbox.seed.vectors import DIMENSIONS, vector
from dbops.sandbox.seed.world import World, fresh, id_of, month_before, months

EXPECTED = Path(__file__).parents[2] / "expected"
WORLD = World(SMALL, UNTIL)
TABLE = [
    pytest.param(target, table, id=f"{target}.{table.name}")
    for target, tables in TABLES.items()
    for table in tables(WORLD)
]


@pytest.mark.parametrize(("target", "table"), TABLE)
def test_a_table_has_the_rows_that_its_plan_tells_and_a_value_for_each_column(target: str, table: Table) -> None:
    lines = list(table.lines())
    assert len(lines) == table.rows, target
    assert {line.count("\t") for line in lines} == {len(table.columns) - 1}
    assert b"".join(table.blocks()).decode().splitlines() == lines


@pytest.mark.parametrize("target", [target for target in TABLES if target != EXAMPLE])
def test_every_table_of_a_schema_is_filled(target: str) -> None:
    known = {name.replace('"', "") for name in json.loads((EXPECTED / f"{target}.json").read_text())}
    there = {name.removeprefix("table ") for name in known if name.startswith("table ")}
    assert {table.name for table in TABLES[target](WORLD)} == there - {"alembic_version"}
    columns = {f"column {table.name}.{column}" for table in TABLES[target](WORLD) for column in table.columns}
    assert columns <= known


_DIGEST = """
import hashlib, sys
from dbops.sandbox.seed import documents, entries, keys
from dbops.sandbox.seed.databases import TABLES
from dbops.sandbox.seed.facts import SMALL, UNTIL
from dbops.sandbox.seed.world import World
import orjson
world, digest = World(SMALL, UNTIL), hashlib.sha256()
for tables in TABLES.values():
    for table in tables(world):
        for block in table.blocks():
            digest.update(block)
for name in documents.CONTAINERS:
    if documents.counts(world)[name]:
        for key, found in documents.partitions(name, world):
            digest.update(key.encode() + orjson.dumps(list(found)))
for name in entries.INDEXES:
    digest.update(orjson.dumps(list(entries.entries(name, world))))
for key in keys.keys(world):
    digest.update(repr((key.name, key.value, key.lives_s)).encode())
print(digest.hexdigest())
"""


def test_two_processes_make_the_same_of_it() -> None:
    def once(seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": ("Asia/Tokyo", "UTC")[int(seed) % 2]}
        return subprocess.run(
            [sys.executable, "-c", _DIGEST], env=env, check=True, capture_output=True, text=True
        ).stdout

    assert once("1") == once("2")


def test_documents_and_keys_are_as_many_as_the_plan_tells() -> None:
    for name, count in documents.counts(WORLD).items():
        if count:
            found = [one["id"] for _, some in documents.partitions(name, WORLD) for one in some]
            assert len(found) == len(set(found)) == count
    for name, count in entries.counts(WORLD).items():
        found = [next(iter(one.values())) for one in entries.entries(name, WORLD)]
        assert len(found) == len(set(found)) == count
    names = Counter(key.name for key in keys.keys(WORLD))
    assert max(names.values()) == 1


def test_documents_lie_in_the_partition_of_their_key() -> None:
    for name, (path, *_) in documents.CONTAINERS.items():
        if documents.counts(WORLD)[name]:
            for key, some in documents.partitions(name, WORLD):
                assert {one[path[1:]] for one in some} == {key}


def test_the_events_of_an_aggregate_are_numbered_in_the_order_of_time() -> None:
    for _, some in documents.partitions("events", WORLD):
        found = [(one["version"], one["timestamp"]) for one in some]
        assert [version for version, _ in found] == list(range(1, len(found) + 1))
        assert found == sorted(found, key=lambda one: one[1])


@pytest.mark.parametrize("size", [SMALL, MEDIUM], ids=lambda size: size.name)
def test_names_of_tenants_overlap_and_their_slugs_do_not(size: Size) -> None:
    count = size.tenants
    names = [people.company(n) for n in range(count)]
    assert len({people.slug(n) for n in range(count)}) == count
    assert max(Counter(names).values()) > 1
    assert any(one != other and other.startswith(one) for one in names for other in names)


@pytest.mark.parametrize("size", [SMALL, MEDIUM], ids=lambda size: size.name)
def test_people_have_addresses_of_their_own_in_plain_letters(size: Size) -> None:
    count = size.users
    found = {people.email(n, n % 8) for n in range(count)}
    assert len(found) == count
    assert all(one.isascii() and " " not in one and "'" not in one for one in found)


def test_vectors_are_of_length_one_and_nearest_to_their_own_topic() -> None:
    one, same, other = (
        vector(WORLD, about, key) for about, key in (("billing", "a"), ("billing", "b"), ("onboarding", "c"))
    )

    def near(a: list[float], b: list[float]) -> float:
        return math.fsum(x * y for x, y in zip(a, b, strict=True))

    assert len(one) == DIMENSIONS
    assert near(one, one) == pytest.approx(1, abs=1e-3)
    assert near(one, same) > 4 * abs(near(one, other))


def test_rows_of_the_audit_cover_fourteen_months_and_costs_two_years() -> None:
    for target, name, column, count in (("agent_studio", "audit_logs", 1, 14), ("policycortex", "cost_data", 1, 24)):
        table = next(one for one in TABLES[target](WORLD) if one.name == name)
        found = {line.split("\t")[column][:7] for line in table.lines()}
        assert found == {f"{month:%Y-%m}" for month in table.months}
        assert len(found) == count


def test_months_begin_with_the_first_day_and_reach_the_last_one() -> None:
    assert month_before(date(2026, 1, 31), 1) == date(2025, 12, 1)
    assert months(date(2025, 11, 5), date(2026, 1, 1)) == (date(2025, 11, 1), date(2025, 12, 1))
    assert months(date(2025, 11, 5), date(2026, 1, 2))[-1] == date(2026, 1, 1)


def test_ids_are_uuids_that_differ() -> None:
    found = [id_of("agent", n) for n in range(2000)] + list(fresh(WORLD.chance("x"), 2000))
    assert len({one.replace("-", "") for one in found}) == 4000
    assert {(one.replace("-", "")[12], one.replace("-", "")[16]) for one in found} == {("4", "a")}


def test_only_what_began_last_still_runs() -> None:
    found = [WORLD.status(n) for n in range(SMALL.prompts)]
    last = max(n for n, status in enumerate(found) if status in ("running", "pending"))
    assert last < SMALL.executions
    assert {"running", "pending", "completed", "failed", "cancelled"} == set(found)


def test_the_values_of_a_column_are_written_as_copy_reads_them() -> None:
    assert written("a\tb\\c\nd") == r"a\tb\\c\nd"
    assert written(None) == r"\N"
    assert written(True) == "t"
    assert written({"a": 'q"\\'}) == r'{"a":"q\\"\\\\"}'
    assert written(("a b", 'q"')) == r'{"a b","q\\""}'
    with pytest.raises(TypeError):
        written(object())


def test_another_day_moves_everything_and_changes_no_id() -> None:
    later = World(SMALL, date(2027, 3, 15))
    for moved, fixed in zip(TABLES["workflow"](later), TABLES["workflow"](WORLD), strict=True):
        assert [line.split("\t")[0] for line in moved.lines()] == [line.split("\t")[0] for line in fixed.lines()]
        assert _digest(moved) != _digest(fixed)


def _digest(table: Table) -> str:
    return hashlib.sha256(b"".join(table.blocks())).hexdigest()


@pytest.mark.parametrize("size", [SMALL, MEDIUM], ids=lambda size: size.name)
def test_no_tenant_is_all_good_or_all_bad(size: Size) -> None:
    world = World(size, UNTIL)
    table = next(one for one in TABLES["policycortex"](world) if one.name == "policy_evaluations")
    tenant, result = (table.columns.index(name) for name in ("tenant_id", "result"))
    found = Counter((row[tenant], row[result]) for row in (line.split("\t") for line in table.lines()))
    for one in {who for who, _ in found}:
        whole = sum(count for (who, _), count in found.items() if who == one)
        assert 0.5 < found[one, "compliant"] / whole < 0.85
