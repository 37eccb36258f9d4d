"""The rules DBM2xx: what breaks each, and what does not."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from dbops.engine.finding import Severity
from dbops.operations.migrate.contract.written import file_name, revision_id
from dbops.operations.migrate.lint.check import ALLOWANCE, RULES, check
from dbops.operations.migrate.lint.facts import Agreed, Allowance, Code, Column, Facts, ForeignKey, Script, Table

GOOD = Table(
    "orders",
    columns=(
        Column("id", "uuid"),
        Column("buyer", "uuid"),
        Column("total", "numeric"),
        Column("created_at", "timestamp with time zone"),
        Column("updated_at", "timestamp with time zone"),
    ),
    primary_key=("id",),
    foreign_keys=(ForeignKey("orders_buyer_fkey", ("buyer",)),),
    indexes=(("id",), ("buyer", "created_at")),
    comment="What was bought",
)
SOURCE = '"""Orders."""\n\nfrom alembic import op\n\n\ndef upgrade() -> None:\n    op.execute("SELECT 1")\n'
SCRIPT = Script("2026_11_20_0100", "2026_11_20_0100_orders.py", SOURCE)
NOTHING = Agreed()


def codes(facts: Facts, agreed: Agreed = NOTHING) -> list[str]:
    return [finding.code for finding in check(facts, agreed)[0]]


def of_table(table: Table, agreed: Agreed = NOTHING) -> list[str]:
    return codes(Facts("shop", tables=(table,)), agreed)


def of_script(source: str = SOURCE, **other: str) -> list[str]:
    return codes(Facts("shop", scripts=(replace(SCRIPT, source=source, **other),)))


def of_code(text: str, kind: str = "policy") -> list[str]:
    return codes(Facts("shop", code=(Code(kind, "orders.mine", text),)))


def without(*names: str) -> tuple[Column, ...]:
    return tuple(column for column in GOOD.columns if column.name not in names)


def test_what_keeps_the_rules_is_not_told() -> None:
    assert codes(Facts("shop", (GOOD,), scripts=(SCRIPT,))) == []


def test_the_codes_are_stable_and_no_two_rules_share_one() -> None:
    assert [rule.code for rule in RULES] == [f"DBM{number}" for number in range(201, 201 + len(RULES))]
    assert ALLOWANCE not in {rule.code for rule in RULES}


@pytest.mark.parametrize("key", [(), ("total",)])
def test_a_primary_key_holds_a_uuid(key: tuple[str, ...]) -> None:
    assert of_table(replace(GOOD, primary_key=key)) == ["DBM201"]


def test_a_primary_key_may_hold_more_than_the_uuid() -> None:
    assert of_table(replace(GOOD, primary_key=("id", "created_at"))) == []


@pytest.mark.parametrize(
    ("indexes", "found"),
    [
        ((("id",),), ["DBM202"]),
        ((("id", "buyer"),), ["DBM202"]),
        ((("buyer",),), []),
        ((("", "buyer"),), ["DBM202"]),
    ],
)
def test_a_foreign_key_has_an_index_that_begins_with_it(indexes: tuple[tuple[str, ...], ...], found: list[str]) -> None:
    assert of_table(replace(GOOD, indexes=indexes)) == found


def test_the_columns_of_a_wide_foreign_key_may_come_in_any_order() -> None:
    wide = replace(GOOD, foreign_keys=(ForeignKey("wide", ("buyer", "total")),))
    assert of_table(replace(wide, indexes=(("total", "buyer", "id"),))) == []
    assert of_table(replace(wide, indexes=(("total", "id", "buyer"),))) == ["DBM202"]


def test_audit_fields() -> None:
    assert of_table(replace(GOOD, columns=without("created_at"))) == ["DBM203"]
    assert of_table(replace(GOOD, columns=without("updated_at"))) == ["DBM204"]


def test_a_link_without_fields_of_its_own_never_changes() -> None:
    assert of_table(replace(GOOD, columns=without("updated_at", "total"))) == []


@pytest.mark.parametrize(
    ("secured", "forced", "policies", "told"),
    [
        (False, False, 0, "row security is off; no policy says who sees what"),
        (True, False, 1, "it is not forced, so the owner sees all"),
        (True, True, 0, "no policy says who sees what"),
        (False, True, 1, "row security is off"),
    ],
)
def test_a_table_of_tenants_has_forced_row_security_with_a_policy(
    secured: bool, forced: bool, policies: int, told: str
) -> None:
    table = replace(
        GOOD,
        columns=(*GOOD.columns, Column("tenant_id", "uuid")),
        row_security=secured,
        forced=forced,
        policies=policies,
    )
    findings, _ = check(Facts("shop", (table,)), NOTHING)
    assert [(finding.code, finding.message) for finding in findings] == [
        ("DBM205", f"orders has tenant_id, but {told}")
    ]
    assert of_table(replace(table, row_security=True, forced=True, policies=1)) == []


def test_what_a_tenant_column_is_called_can_be_told() -> None:
    assert of_table(GOOD, Agreed(tenant_columns=("buyer",))) == ["DBM205"]


@pytest.mark.parametrize(
    "text",
    [
        "owner = NULLIF(current_setting('app.user', true), '')::uuid",
        "(owner = (NULLIF(current_setting('app.user'::text, true), ''::text))::uuid)",
        "owner = NULLIF(pg_catalog.current_setting('app.user', 'true'), '')::uuid",
        "name = current_setting('app.name', true)",
        "name = current_setting('app.name', true)::text",
        "name = (current_setting('app.name'::text, true))::character varying",
        "-- current_setting('app.user')::uuid would fail\nSELECT 1",
        "current_setting('app.on', true) = 'on'",
        "(current_setting('app.on', true) = 'on')::boolean",
        "string_to_array(current_setting('app.ids', true), ',')::uuid[]",
        "NULLIF(coalesce(current_setting('app.user', true), ''), '')::uuid",
        "CAST(current_setting('app.name', true) AS text)",
        "CAST(NULLIF(current_setting('app.user', true), '') AS uuid)",
    ],
)
def test_settings_that_are_read_safely(text: str) -> None:
    assert of_code(text) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("name = current_setting('app.name')", 1),
        ("name = current_setting('app.name', false)", 1),
        ("name = current_setting(concat('app.', 'name, true'))", 1),
        ("name = current_setting(concat('app.', true))", 1),
        ("owner = current_setting('app.user', true)::uuid", 1),
        ("(owner = (current_setting('app.user'::text, true))::uuid)", 1),
        ("owner = CAST(current_setting('app.user', true) AS uuid)", 1),
        ("owner = coalesce(current_setting('app.user', true), '')::uuid", 1),
        ("owner = CAST((current_setting('app.user', true))::text AS uuid)", 1),
        ("owner = (current_setting('app.user'::text))::uuid", 2),
        ("owner = coalesce(CURRENT_SETTING ('app.user'::text, true), ''::text)::text::pg_catalog.uuid", 1),
        ("owner = NULLIF(current_setting('app.user'), '')::uuid", 1),
    ],
)
def test_settings_that_are_read_unsafely_are_bad(text: str, count: int) -> None:
    findings, _ = check(Facts("shop", code=(Code("policy", "orders.mine", text),)), NOTHING)
    assert [(finding.code, finding.severity) for finding in findings] == [("DBM206", Severity.BAD)] * count
    assert of_code(text, "function") == of_code(text)


def test_a_function_with_its_owners_rights_fixes_its_search_path() -> None:
    definer = Code("function", "mine()", "SELECT 1", definer=True)
    findings, _ = check(Facts("shop", code=(definer,)), NOTHING)
    assert [(finding.code, finding.severity) for finding in findings] == [("DBM207", Severity.BAD)]
    assert codes(Facts("shop", code=(replace(definer, search_path=True), replace(definer, definer=False)))) == []


@pytest.mark.parametrize("kind", ["timestamp without time zone", "timestamp(3) without time zone"])
def test_timestamps_have_a_time_zone(kind: str) -> None:
    columns = (*without("updated_at"), Column("updated_at", kind))
    assert of_table(replace(GOOD, columns=columns)) == ["DBM208"]


def named(written: Sequence[str], *found: str) -> list[str]:
    script = replace(SCRIPT, statements=tuple(written))
    return codes(Facts("shop", names=tuple(("constraint", name) for name in found), scripts=(script,)))


def test_names_that_are_too_long_are_found_where_they_are_written() -> None:
    assert named([f"CREATE INDEX {'i' * 63} ON orders (id)"]) == []
    assert named([f"CREATE INDEX {'i' * 64} ON orders (id)"]) == ["DBM209"]
    assert named([f'CREATE INDEX "{"ü" * 32}" ON orders (id)']) == ["DBM209"], "bytes count, not letters"
    assert named([f"COMMENT ON TABLE orders IS '{'x' * 90}' -- {'y' * 90}"]) == []


def test_a_name_that_postgresql_put_together_and_cut_is_found() -> None:
    cut = f"{'a' * 30}_{'b' * 27}_fkey"
    assert len(cut) == 63
    assert named(["ALTER TABLE x ADD FOREIGN KEY (y) REFERENCES z"], cut) == ["DBM209"]
    assert named([f"ALTER TABLE x ADD CONSTRAINT {cut} FOREIGN KEY (y) REFERENCES z"], cut) == []
    assert named([f"CREATE INDEX {'i' * 64} ON orders (id)"], "i" * 63) == ["DBM209"], "told once"


def test_each_table_has_a_comment() -> None:
    assert of_table(replace(GOOD, comment=None)) == ["DBM210"]
    assert of_table(replace(GOOD, comment=" ")) == ["DBM210"]


@pytest.mark.parametrize(
    "line",
    [
        "rows = op.get_bind().execute('SELECT 1')",
        "context.get_context().connection",
        "ask = op.get_bind",
        "from alembic.op import get_bind",
    ],
)
def test_a_revision_asks_nothing_of_the_database(line: str) -> None:
    assert of_script(SOURCE + f"    {line}\n") == ["DBM211"]


def test_a_file_is_named_by_its_revision_and_what_it_does() -> None:
    assert of_script(file="2026_11_20_0100.py") == ["DBM212"]
    assert of_script(file="2026_11_20_0200_orders.py") == ["DBM212"]
    assert of_script(file="2026_11_20_0100_Orders.py") == ["DBM212"]
    assert of_script(id="8f3a2c", file="8f3a2c_orders.py") == ["DBM212"]
    assert of_script(id="2026_11_20_0100_orders", file="2026_11_20_0100_orders_x.py") == ["DBM212"]


@pytest.mark.parametrize("phase", ["contract", "remove", "rollback"])
def test_what_ends_a_change_is_named_after_what_began_it(phase: str) -> None:
    ending = revision_id("2026_11_20_0100", phase)
    assert of_script(id=ending, file=file_name(ending, "orders-total")) == []


def test_a_revision_is_finished() -> None:
    assert of_script(SOURCE + "    # TODO: an index\n") == ["DBM213"]
    assert of_script(SOURCE + '    op.create_table("t", comment="TODO")\n') == ["DBM213"]


def allowing(rule: str, thing: str = "orders", reason: str = "it is so") -> Agreed:
    return Agreed((Allowance(rule, thing, reason),))


def test_what_is_allowed_with_a_reason_is_counted_and_not_told() -> None:
    facts = Facts("shop", (replace(GOOD, comment=None),))
    findings, silenced = check(facts, allowing("DBM210"))
    assert findings == []
    assert [(one.rule, one.object, one.reason) for one in silenced] == [("DBM210", "orders", "it is so")]


def test_an_allowance_without_a_reason_silences_nothing_and_is_told_itself() -> None:
    assert of_table(replace(GOOD, comment=None), allowing("DBM210", reason="")) == ["DBM210", ALLOWANCE]


def test_an_allowance_that_covers_nothing_is_told() -> None:
    assert of_table(GOOD, allowing("DBM210")) == [ALLOWANCE]
    assert of_table(GOOD, allowing("DBM999")) == [ALLOWANCE]
    assert of_table(replace(GOOD, comment=None), allowing("DBM210", "order")) == ["DBM210", ALLOWANCE]


def test_a_database_need_not_have_everything_that_is_allowed() -> None:
    facts = Facts("shop", (GOOD,))
    assert check(facts, allowing("DBM210"), stale=False) == ([], [])
    assert [one.code for one in check(facts, allowing("DBM999"), stale=False)[0]] == [ALLOWANCE]
