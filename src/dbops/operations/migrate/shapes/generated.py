"""A column that follows from others of its row, without the rewrite that GENERATED ALWAYS AS (...) STORED would take.

A plain column and a trigger, which stays; rows that are there get theirs from the backfill. Who writes the column
itself is not heard.
"""

# ruff: noqa: S608  # the parts are names and SQL of the revision's author
from dataclasses import dataclass

from dbops.operations.migrate.shapes import dual, names
from dbops.operations.migrate.shapes.adds import Adds
from dbops.operations.migrate.shapes.expressions import refuse_the_unsteady
from dbops.operations.migrate.shapes.fit import refuse_the_unfit, settle
from dbops.operations.migrate.shapes.guarded import beside, quoted
from dbops.operations.migrate.shapes.pair import Dual
from dbops.operations.migrate.shapes.shape import KEY, ROWS, Comparison, Do, Filling


@dataclass(frozen=True, slots=True)
class Generated(Adds):
    """Such as Generated("public.orders", "total", "numeric", "r.amount * r.price")."""

    table: str
    column: str
    type: str
    expression: str  # over the row `r`

    def expand(self, change: str) -> tuple[Do, ...]:
        name, column = names.name("follow", change, self.table), quoted(self.column)
        body = f"DECLARE\n    r ALIAS FOR new;\nBEGIN\n    r.{column} := ({self.expression});\n    RETURN r;\nEND"
        refuse_the_unsteady([self.expression])
        return (
            Do(f"ALTER TABLE {self.table} ADD COLUMN {column} {self.type}"),
            Do(refuse_the_unfit(self._side)),
            Do(dual.function(change, self.table, "follow", body, (self.expression,))),
            Do(settle(change, self._side, ("follow",))),
            Do(
                f"CREATE TRIGGER {quoted(name)} BEFORE INSERT OR UPDATE ON {self.table} FOR EACH ROW\n"
                f"    EXECUTE FUNCTION {beside(self.table, name)}()"
            ),
            Do(dual.always(self.table, (name,))),
        )

    def undo(self, change: str) -> tuple[Do, ...]:
        name = names.name("follow", change, self.table)
        return (
            Do(f"DROP TRIGGER {quoted(name)} ON {self.table}"),
            Do(f"DROP FUNCTION {beside(self.table, name)}()"),
            Do(f"ALTER TABLE {self.table} DROP COLUMN {quoted(self.column)}"),
        )

    def filling(self) -> Filling | None:
        statement = f"UPDATE {self.table} AS r SET {quoted(self.column)} = ({self.expression})"
        return Filling(self.table, f"{statement} WHERE {ROWS} AND {self._differs}", self.table)

    def comparisons(self) -> tuple[Comparison, ...]:
        rows = f"SELECT {KEY} FROM {self.table} AS r WHERE {ROWS} AND "
        forward = Comparison(self.table, rows + self._differs)
        return (forward, Comparison(self.table, f"{rows}false", "back"))  # it is written by none: nothing can be lost

    @property
    def _differs(self) -> str:
        return self._side.differs_up

    @property
    def _side(self) -> Dual:
        return Dual(self.table, (), (self.column,), {self.column: self.expression}, {}, {self.column: self.type})
