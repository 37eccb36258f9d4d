"""Two sides of a row that say the same, and what triggers do with them: conditions and bodies, as text. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.expressions import by_text, columns_of, is_bare, type_of
from dbops.operations.migrate.shapes.guarded import quoted

# What an expression may say about a value that it cannot take; anything else is a fault, and is let through.
_CANNOT = "data_exception OR integrity_constraint_violation OR raise_exception"


@dataclass(frozen=True, slots=True)
class Dual:
    """Which columns say the same, and how one side follows from the other: expressions over the row `r`."""

    table: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    up: Mapping[str, str]
    down: Mapping[str, str]
    types: Mapping[str, str] = field(default_factory=dict[str, str])  # of new columns, as SQL

    @property
    def differs_up(self) -> str:
        """The condition (over r) that the new side is not what follows from the old one."""
        return " OR ".join(_differs(name, self.up[name], self.types.get(name)) for name in self.new)

    @property
    def differs_down(self) -> str:
        return " OR ".join(_differs(name, self.down[name], type_of(self.down[name], self.types)) for name in self.old)

    @property
    def given(self) -> str:
        return " OR ".join(f"r.{quoted(name)} IS NOT NULL" for name in self.new)

    @property
    def may_fail(self) -> bool:
        """Say whether an old value may have no new one. A bare column has one: who changes its type writes the cast."""
        return not all(map(is_bare, self.up.values()))

    @property
    def others(self) -> tuple[str, ...]:
        """Name the columns of neither side that one of them follows from, too."""
        return tuple(sorted(columns_of([*self.up.values(), *self.down.values()]) - {*self.old, *self.new}))

    @property
    def restyled(self) -> str:
        """The condition (over r, in an update) that `=` sees no change of the new side: 'Bob' was 'BOB' in citext."""
        return " AND ".join(
            f"r.{quoted(name)}{cast} IS NOT DISTINCT FROM OLD.{quoted(name)}{cast}"
            for name, cast in ((name, by_text(self.types.get(name))) for name in self.new)
        )


def _differs(column: str, expression: str, type_: str | None) -> str:
    cast = by_text(type_)
    return f"r.{quoted(column)}{cast} IS DISTINCT FROM ({expression}){cast}"


def changed(columns: Sequence[str], *, row: str = "NEW") -> str:
    """The condition that an update changed one of these, to whatever their type has for a `=`."""
    if not columns:
        return "false"
    now, before = (", ".join(f"{one}.{quoted(name)}" for name in columns) for one in (row, "OLD"))
    return f"pg_catalog.record_image_ne(ROW({now}), ROW({before}))"


def up_body(change: str, dual: Dual) -> str:
    """Write the new side. An old client's value that has none stands all the same, is counted, and is NULL there."""
    if not dual.may_fail:
        return _body(f"{_assigned(dual.up)}    RETURN r;")
    nothing = "".join(f"        r.{quoted(name)} := NULL;\n" for name in dual.new)
    return _body(f"""    BEGIN
{_indented(_assigned(dual.up))}    EXCEPTION WHEN {_CANNOT} THEN
{nothing}        IF TG_OP = 'INSERT' OR {changed(dual.old, row="r")} THEN
{_indented(_indented(counted(change)))}        END IF;
    END;
    RETURN r;""")


def down_body(dual: Dual) -> str:
    """Write the old side; where conditions could not ask for it, only if the new one says something else."""
    only = f"(TG_OP = 'INSERT' OR NOT ({dual.restyled})) AND "
    asked = _unless_alike(dual, "RETURN r;", only) if dual.may_fail else ""
    return _body(f"{asked}{_assigned(dual.down)}    RETURN r;")


def conflict_body(change: str, dual: Dual) -> str:
    asked = _unless_alike(dual, "RETURN r;") if dual.may_fail else ""
    return _body(f"{asked}{counted(change)}    RETURN r;")


def counted(change: str) -> str:
    """Count a conflict where the ledger is there and lets us; the write goes on whatever becomes of the count."""
    return f"""    BEGIN
        PERFORM dbops.conflict({literal(change)});
    EXCEPTION WHEN undefined_function OR invalid_schema_name OR undefined_table OR insufficient_privilege THEN
        NULL;
    END;
"""


def disagree(dual: Dual) -> str:
    """The condition (over r) that neither side follows from the other, as far as a condition may ask for it."""
    return f"({dual.differs_down})" if dual.may_fail else f"({dual.differs_up}) AND ({dual.differs_down})"


def _unless_alike(dual: Dual, leave: str, only: str = "") -> str:
    return f"""    BEGIN
        IF {only}NOT ({dual.differs_up}) THEN
            {leave}
        END IF;
    EXCEPTION WHEN {_CANNOT} THEN
        NULL; -- what has no new value says nothing
    END;
"""


def _assigned(values: Mapping[str, str]) -> str:
    return "".join(f"    r.{quoted(name)} := ({expression});\n" for name, expression in values.items())


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines.splitlines())


def _body(statements: str) -> str:
    return f"DECLARE\n    r ALIAS FOR new;\nBEGIN\n{statements}\nEND"
