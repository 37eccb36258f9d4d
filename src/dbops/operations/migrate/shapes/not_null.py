"""NOT NULL for a column that is there: a CHECK for what is written, a backfill for what was, and the proof. Pure."""

# ruff: noqa: S608  # the parts are names and SQL of the revision's author
from dataclasses import dataclass

from dbops.operations.migrate.shapes import dual, names
from dbops.operations.migrate.shapes.adds import NoSwap
from dbops.operations.migrate.shapes.filled import check, drop_check, let_no_nulls_in, prove_no_nulls
from dbops.operations.migrate.shapes.fit import refuse_the_unfit
from dbops.operations.migrate.shapes.guarded import beside, quoted
from dbops.operations.migrate.shapes.pair import Dual
from dbops.operations.migrate.shapes.shape import KEY, ROWS, Comparison, Do, Filling, OldNames


@dataclass(frozen=True, slots=True)
class NotNull(NoSwap):
    """Let no NULL into a column. `fill`, SQL over the row `r`, is what rows get that have none.

    With it, a trigger fills what old clients leave out, whatever they touch of a row, until the change is contracted.
    Without it, whoever writes a NULL, or writes to a row that has one, fails from the expand on.
    """

    table: str
    column: str
    fill: str | None = None

    def expand(self, change: str) -> tuple[Do, ...]:
        constraint = Do(check(change, self.table, (self.column,)))
        if self.fill is None:
            return (constraint,)
        name, column = names.name("fill", change, self.table), quoted(self.column)
        body = f"DECLARE\n    r ALIAS FOR new;\nBEGIN\n    r.{column} := ({self.fill});\n    RETURN r;\nEND"
        return (
            Do(refuse_the_unfit(Dual(self.table, (), (self.column,), {self.column: self.fill}, {}))),
            constraint,  # first, for it takes the strongest lock: to ask for that later could end in a deadlock
            Do(dual.function(change, self.table, "fill", body, (self.fill,))),
            Do(
                f"CREATE TRIGGER {quoted(name)} BEFORE INSERT OR UPDATE ON {self.table} FOR EACH ROW\n"
                f"    WHEN (NEW.{column} IS NULL)\n    EXECUTE FUNCTION {beside(self.table, name)}()"
            ),
            Do(dual.always(self.table, (name,))),
        )

    def undo(self, change: str) -> tuple[Do, ...]:
        return (*self._remove(change), drop_check(change, self.table))

    def filling(self) -> Filling | None:
        if self.fill is None:
            return None
        column = quoted(self.column)
        statement = f"UPDATE {self.table} AS r SET {column} = ({self.fill}) WHERE {ROWS} AND r.{column} IS NULL"
        return Filling(self.table, statement, self.table)

    def comparisons(self) -> tuple[Comparison, ...]:
        rows = f"SELECT {KEY} FROM {self.table} AS r WHERE {ROWS} AND "
        forward = Comparison(self.table, f"{rows}r.{quoted(self.column)} IS NULL")
        return (forward, Comparison(self.table, f"{rows}false", "back"))  # the column itself stays: nothing can be lost

    def contract(self, change: str) -> tuple[Do, ...]:
        columns = (self.column,)
        return (
            *prove_no_nulls(change, self.table, columns),
            *self._remove(change),
            *let_no_nulls_in(change, self.table, columns),
        )

    def old_names(self) -> OldNames | None:
        return None

    def _remove(self, change: str) -> tuple[Do, ...]:
        if self.fill is None:
            return ()
        name = names.name("fill", change, self.table)
        return (
            Do(f"DROP TRIGGER IF EXISTS {quoted(name)} ON {self.table}"),
            Do(f"DROP FUNCTION IF EXISTS {beside(self.table, name)}()"),
        )
