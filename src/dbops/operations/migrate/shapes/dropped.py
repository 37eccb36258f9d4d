"""Drop columns of a table, or all of it, in two stages.

Expand lets new clients do without. Contract puts the old out of the way, with all that is in it; `removal` is for a
revision of its own, much later: nothing brings back what that one drops but a backup.
"""
# the parts are names and SQL of the revision's author

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import away, names, retired
from dbops.operations.migrate.shapes.adds import Adds
from dbops.operations.migrate.shapes.guarded import has_constraint, quoted, when
from dbops.operations.migrate.shapes.shape import Do, OldNames


@dataclass(frozen=True, slots=True)
class Dropped(Adds):
    """Such as Dropped("public.users", ("fax",), required={"fax": "''"}); no columns: the table.

    `required` are columns that are NOT NULL without a default. What clients who do without them leave to be stored is
    their new default; None lets NULL in, and then undo needs every row to be filled again.
    """

    table: str
    columns: tuple[str, ...] = ()
    required: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.required) - set(self.columns)):
            raise ValueError(f"required, but not among the columns to drop: {', '.join(unknown)}")

    def expand(self, change: str) -> tuple[Do, ...]:
        del change
        told = [
            f"ALTER {quoted(name)} {'DROP NOT NULL' if default is None else f'SET DEFAULT {default}'}"
            for name, default in self.required.items()
        ]
        return (Do(f"ALTER TABLE {self.table} {', '.join(told)}"),) if told else ()

    def undo(self, change: str) -> tuple[Do, ...]:
        back = [f"ALTER {quoted(name)} DROP DEFAULT" for name, value in self.required.items() if value is not None]
        given = (Do(f"ALTER TABLE {self.table} {', '.join(back)}"),) if back else ()
        return (*given, *self._close_again(change))

    def _close_again(self, change: str) -> tuple[Do, ...]:
        """NOT NULL by a CHECK that is validated first: nothing is scanned under the lock."""
        opened = [name for name, value in self.required.items() if value is None]
        if not opened:
            return ()
        proof = names.name("proof", change, self.table)
        none = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in opened)
        add = f"ALTER TABLE {self.table} ADD CONSTRAINT {quoted(proof)} CHECK ({none}) NOT VALID"
        validate = f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {quoted(proof)}"
        every = ", ".join(f"ALTER {quoted(name)} SET NOT NULL" for name in opened)
        return (
            Do(when(f"NOT {has_constraint(self.table, proof)}", add)),
            Do(f"SELECT {literal(validate)}", asks=True),
            Do(f"ALTER TABLE {self.table} {every}"),
            Do(f"ALTER TABLE {self.table} DROP CONSTRAINT {quoted(proof)}"),
        )

    def contract(self, change: str) -> tuple[Do, ...]:
        if not self.columns:
            return (retired.put_table_away(change, self.table),)
        return (away.put_away(change, self.table, self.columns, replaced=False),)

    def put_back(self, change: str) -> tuple[Do, ...]:
        """Take contract back; it is no part of undo, for a contraction is taken back by its own revision."""
        if not self.columns:
            return (retired.bring_table_back(change, self.table), retired.hold_again(self.table))
        return (
            away.bring_back(change, self.table, self.columns),
            *away.stand_again(change, self.table, self.columns, replaced=False),
            away.forget(self.table, self.columns),
        )

    def removal(self, change: str, keep: str = retired.KEEP) -> tuple[Do, ...]:
        """Drop for good what contract put away, when `keep` is over."""
        if not self.columns:
            return retired.remove_table(change, self.table, keep)
        every = [retired.remove_column(change, self.table, name, keep) for name in self.columns]
        return tuple(do for one in every for do in one)

    def old_names(self) -> OldNames | None:
        return OldNames(self.table, self.columns)
