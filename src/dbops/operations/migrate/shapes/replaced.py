"""A table is replaced by another one, of another shape: both are written by triggers until they exchange their names.

    Replaced(table="public.workspaces", by="public.workspaces_v2", key=("workspace_id",),
             create="CREATE TABLE public.workspaces_v2 (LIKE public.workspaces INCLUDING ALL)",
             same=("name", "slug"), up={"cents": "r.euros * 100"}, down={"euros": "r.cents / 100.0"})

`up` tells each new column by the old row `r`, `down` each old column by the new one; the key is the same in both, and
so are the columns that `same` names. After the exchange the new table serves under the old name, and the old one under
the new: who wrote to either goes on, as long as it names columns that both have. A transaction that writes a row by the
one name can run into a deadlock with another that writes the same row by the other name at the same moment; writers
should keep to one of them. Prepared statements that show a column whose type is another afterwards fail once, at the
exchange.

Expressions see pg_catalog and the schema of the table, and should have the type of their column to the digit. Columns
whose `=` does not see each change (citext, 1.0 and 1.00, jsonb) or that have none (json, xml) stand in `as_written`,
and are compared byte by byte, the key too; expand refuses where one is missing. A key that is deferrable or has no `=`,
partitions, inheritance and rules are refused, and so is what a write of an application would fail for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dbops.operations.migrate.shapes import across, alike, aside, exchange, outfit, retired, twins
from dbops.operations.migrate.shapes.across import Way, quoted
from dbops.operations.migrate.shapes.replay import plain_name
from dbops.operations.migrate.shapes.shape import KEY, ROWS, Comparison, Do, Filling, OldNames

_FORWARD = "on"
_BACK = "back"

_FILL = """INSERT INTO {there} AS n ({columns}) OVERRIDING SYSTEM VALUE
SELECT {values} FROM (
    SELECT r.* FROM {here} AS r LEFT JOIN {there} AS n ON {same}
     WHERE {rows} AND (n.{first} IS NULL OR {differs})
       FOR SHARE OF r) AS r
ON CONFLICT ({key}) DO {otherwise}"""
_COMPARE = """SELECT {key} FROM {here} AS r LEFT JOIN {there} AS n ON {same}
 WHERE {rows} AND (n.{first} IS NULL OR {differs})"""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A shape. `exchanged` says that the tables have each other's names by now: see after_swap()."""

    table: str
    by: str
    create: str
    key: tuple[str, ...]
    same: tuple[str, ...] = ()
    up: Mapping[str, str] = field(default_factory=dict[str, str])
    down: Mapping[str, str] = field(default_factory=dict[str, str])
    as_written: tuple[str, ...] = ()
    exchanged: bool = False

    def after_swap(self) -> "Replaced":
        """Return the shape for what walks the tables once they have exchanged their names."""
        return replace(self, exchanged=True)

    def expand(self, change: str) -> tuple[Do, ...]:
        forward, back = self._ways()
        statements = (
            self.create,
            outfit.outfit(self.table, self.by, self.key),
            *(alike.refuse_the_unlike(one) for one in (forward, back)),
            *across.create_functions(change, forward, self.table),
            *across.create_functions(change, back, self.table),
            across.create_triggers(change, back, self.table),
            across.create_triggers(change, forward, self.table),
        )
        return tuple(Do(one) for one in statements)

    def undo(self, change: str) -> tuple[Do, ...]:
        statements = [outfit.strip(self.table, self.by, self._sign(change, _FORWARD))]
        statements += self._drop_triggers(change, _FORWARD, self.table)
        statements.append(f"DROP TABLE IF EXISTS {self.by}")
        statements += self._drop_functions(change)
        return tuple(Do(one) for one in statements)

    def filling(self) -> Filling | None:
        """Rows stay as they are while they are carried over: no write is missed, and no deleted row comes back."""
        old, new = self._names()
        every = {**{column: f"r.{quoted(column)}" for column in self.key}, **self._up}
        excluded = {column: f"excluded.{quoted(column)}" for column in self._up}
        update = f"UPDATE SET {across.assigned(excluded)} WHERE {across.differs(excluded, self._exact)}"
        statement = _FILL.format(
            here=old,
            there=new,
            columns=", ".join(map(quoted, every)),
            values=", ".join(f"({told})" for told in every.values()),
            same=across.same("n", "r", self.key),
            rows=ROWS,
            first=quoted(self.key[0]),
            differs=across.differs(self._up, self._exact),
            key=", ".join(map(quoted, self.key)),
            otherwise=update if excluded else "NOTHING",
        )
        return Filling(old, statement, new)

    def comparisons(self) -> tuple[Comparison, ...]:
        old, new = self._names()
        return (
            Comparison(old, self._compared(old, new, self._up)),
            Comparison(new, self._compared(new, old, self._down), "back"),
        )

    def before_swap(self, change: str) -> tuple[Do, ...]:
        return twins.made_ready(self.table, self.by, self._sign(change, _FORWARD))

    def before_swap_back(self, change: str) -> tuple[Do, ...]:
        return twins.made_ready(self.table, self.by, self._sign(change, _BACK))

    def swap(self, change: str) -> tuple[Do, ...]:
        """Exchange the names, once all was made ready."""
        return (Do(exchange.exchange(here=self.table, there=self.by, sign=self._sign(change, _FORWARD))),)

    def swap_back(self, change: str) -> tuple[Do, ...]:
        return (Do(exchange.exchange(here=self.table, there=self.by, sign=self._sign(change, _BACK))),)

    def contract(self, change: str) -> tuple[Do, ...]:
        """Put away what was replaced. Where nothing was exchanged and no row is lost by it, that is done here."""
        statements = [outfit.guard(self.table, self._sign(change, _FORWARD))]
        statements += [one.sql for one in (*self.before_swap(change), *self.swap(change))]
        statements += self._drop_triggers(change, _BACK, self.table)
        statements += self._drop_triggers(change, _FORWARD, self.by)
        statements += self._drop_functions(change)
        return (*(Do(one) for one in statements), *aside.put_away(change, self.by))

    def put_back(self, change: str) -> tuple[Do, ...]:
        """Take contract back: the old table is written again, and holds what was written meanwhile."""
        forward, back = self._ways()
        again = replace(self, up=self.down, down=self.up).filling()
        return (
            retired.bring_table_back(change, self.by),
            *(Do(one) for one in self._drop_triggers(change, _BACK, self.table)),
            *(Do(one) for one in self._drop_triggers(change, _FORWARD, self.by)),
            *(Do(one) for one in self._drop_functions(change)),
            *(Do(one) for one in across.create_functions(change, forward, self.table)),
            *(Do(one) for one in across.create_functions(change, back, self.table)),
            Do(across.create_triggers(change, replace(back, here=self.table, there=self.by), self.table)),
            Do(across.create_triggers(change, replace(forward, here=self.by, there=self.table), self.table)),
            *((aside.lead_back(change, again, self.key),) if again else ()),
        )

    def removal(self, change: str, keep: str = retired.KEEP) -> tuple[Do, ...]:
        """Drop the old table for good, when `keep` is over."""
        return retired.remove_table(change, self.by, keep)

    def old_names(self) -> OldNames | None:
        """After the exchange, the old table bears the name that was the new one's."""
        return OldNames(self.by)

    @property
    def _exact(self) -> frozenset[str]:
        """Name what is compared as it is written, quoted or not as it is elsewhere."""
        listed = set(map(plain_name, self.as_written))
        every = (*self.key, *self.same, *self.up, *self.down)
        return frozenset(column for column in every if plain_name(column) in listed)

    @property
    def _up(self) -> dict[str, str]:
        return {**self._carried, **self.up}

    @property
    def _down(self) -> dict[str, str]:
        return {**self._carried, **self.down}

    @property
    def _carried(self) -> dict[str, str]:
        exact = self._exact
        return {column: f"r.{quoted(column)}" for column in (*(one for one in self.key if one in exact), *self.same)}

    def _names(self) -> tuple[str, str]:
        """Name the old table and the new one."""
        return (self.by, self.table) if self.exchanged else (self.table, self.by)

    def _ways(self) -> tuple[Way, Way]:
        return (
            Way(_FORWARD, self.table, self.by, self.key, self._up, self._down, self._exact),
            Way(_BACK, self.by, self.table, self.key, self._down, self._up, self._exact),
        )

    def _sign(self, change: str, kind: str) -> str:
        return across.trigger(change, kind, self.table, "write")

    def _compared(self, here: str, there: str, values: Mapping[str, str]) -> str:
        return _COMPARE.format(
            key=KEY,
            here=here,
            there=there,
            same=across.same("n", "r", self.key),
            rows=ROWS,
            first=quoted(self.key[0]),
            differs=across.differs(values, self._exact),
        )

    def _drop_triggers(self, change: str, kind: str, table: str) -> list[str]:
        named = [across.trigger(change, kind, self.table, event) for event in across.EVENTS]
        return [f"DROP TRIGGER IF EXISTS {quoted(name)} ON {table}" for name in named]

    def _drop_functions(self, change: str) -> list[str]:
        kinds = (_FORWARD, f"{_FORWARD}_move", _BACK, f"{_BACK}_move")
        return [f"DROP FUNCTION IF EXISTS {across.function(change, kind, self.table)}()" for kind in kinds]
