"""Columns beside columns: rename, another type, split, merge, values of enums; or columns that only come. Pure."""

# ruff: noqa: S608  # the parts are names and SQL of the revision's author
from collections.abc import Mapping
from dataclasses import dataclass, field

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import away, belongings, dual, identities, names, retired
from dbops.operations.migrate.shapes.adds import NoSwap
from dbops.operations.migrate.shapes.belongings import Belonging
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.filled import let_no_nulls_in, prove_no_nulls
from dbops.operations.migrate.shapes.guarded import block, has_column, oid, quoted, when
from dbops.operations.migrate.shapes.pair import Dual
from dbops.operations.migrate.shapes.rights import grants
from dbops.operations.migrate.shapes.shape import KEY, ROWS, Comparison, Do, Filling, OldNames


@dataclass(frozen=True, slots=True)
class New:
    """A column to come. NOT NULL is proved and set when the old columns go; so is the default, if there are any."""

    name: str
    type: str
    not_null: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Columns(NoSwap):
    """Replace old columns by new ones: `up` gives each new one, `down` each old one, as SQL over the row `r`.

    Without `old`, columns are added. A default that is the same for all rows is all that takes; one that is another
    for each row (`up`, such as gen_random_uuid()) is given to new rows at once, to the others by the backfill.

    `lossy` says that not every value survives the way there and back, as where two columns become one. A row is then
    good when either side follows from the other; without it, both have to.

    `carry` is what stands on the old columns and has to stand on the new ones: Index(...), Constraint(...), foreign
    keys of other tables that refer to them too. It is built when the rows are filled, in this order.

    Names of columns are plain, as the catalog has them. The table and expressions are SQL; what they use beyond
    pg_catalog and public needs its schema. Expressions see no generated columns: these are computed after triggers.
    """

    table: str
    new: tuple[New, ...]
    old: tuple[str, ...] = ()
    up: Mapping[str, str] = field(default_factory=dict[str, str])
    down: Mapping[str, str] = field(default_factory=dict[str, str])
    lossy: bool = False
    carry: tuple[Belonging, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a direction that is missing: what one side writes would be lost for the other."""
        known = {one.name for one in self.new}
        if len(known) != len(self.new) or not known or known & set(self.old):
            raise ValueError(f"{self.table}: new columns need names of their own")
        wanted = known if self.old else set[str]()
        for told, wrong in (
            ("up", (wanted - set(self.up)) | (set(self.up) - known)),
            ("down", set(self.old) ^ set(self.down)),
        ):
            if wrong:
                raise ValueError(f"{self.table}: {told} has to name each column once: {', '.join(sorted(wrong))}")
        if not self.old and any(dual.as_new(one) != one for one in self.up.values()):
            raise ValueError(
                f"{self.table}: what follows from other columns names them in old, or is a generated column"
            )
        not_null = [one.name for one in self.new if one.not_null]
        told = belongings.refusal(self.table, not_null, [one.name for one in self.new], self.carry)
        if self.carry and not self.old:
            told = "carry is for what stands on old columns: add the others by changes of their own"
        if told is not None:
            raise ValueError(f"{self.table}: {told}")

    def expand(self, change: str) -> tuple[Do, ...]:
        if self.old:
            columns = ", ".join(f"ADD COLUMN {quoted(one.name)} {one.type}" for one in self.new)
            added = Do(f"ALTER TABLE {self.table} {columns}")
            rights = grants(self.table, self.old, [one.name for one in self.new])
            return (added, rights, *dual.install(change, self._dual))
        columns = ", ".join(f"ADD COLUMN {self._added(one)}" for one in self.new)
        later = ", ".join(
            f"ALTER COLUMN {quoted(one.name)} SET DEFAULT {one.default or self.up[one.name]}"
            for one in self.new
            if one.name in self.up
        )
        added = Do(f"ALTER TABLE {self.table} {columns}")
        return (added, Do(f"ALTER TABLE {self.table} {later}")) if later else (added,)

    def undo(self, change: str) -> tuple[Do, ...]:
        drop = Do(f"ALTER TABLE {self.table} {', '.join(f'DROP COLUMN {quoted(one.name)}' for one in self.new)}")
        if not self.old:
            return (drop,)
        gone = belongings.remove(self.table, self.carry)
        return (dual.give_back(change, self.table), *dual.remove(change, self.table), *gone, drop)

    def filling(self) -> Filling | None:
        if not self.up:
            return None
        assigned = ", ".join(f"{quoted(name)} = ({expression})" for name, expression in self.up.items())
        statement = f"UPDATE {self.table} AS r SET {assigned} WHERE {ROWS} AND {self._unfilled}"
        return Filling(self.table, statement, self.table)

    def comparisons(self) -> tuple[Comparison, ...]:
        if not self.up:
            return ()
        missing = "".join(f" OR r.{quoted(one.name)} IS NULL" for one in self.new if one.not_null)
        forward = Comparison(self.table, self._keys(f"({self._unfilled}{missing})"))
        if not self.old:
            return (
                forward,
                Comparison(self.table, self._keys("false"), "back"),
            )  # there is no old name to lead back to
        return (forward, Comparison(self.table, self._keys(self._differs_back), "back"))

    def contract(self, change: str) -> tuple[Do, ...]:
        late = self.new if self.old else tuple(one for one in self.new if one.name in self.up)
        not_null = tuple(one.name for one in late if one.not_null)
        actions = [
            f"ALTER COLUMN {quoted(one.name)} SET DEFAULT {one.default}" for one in late if self.old and one.default
        ]
        return (
            *prove_no_nulls(change, self.table, not_null),
            *belongings.ensure(change, self.carry),
            *(self._put_away(change) if self.old else ()),
            *((Do(f"ALTER TABLE {self.table} {', '.join(actions)}"),) if actions else ()),
            *let_no_nulls_in(change, self.table, not_null),
            *belongings.take_key(self.carry),
        )

    def _put_away(self, change: str) -> tuple[Do, ...]:
        return (
            dual.give_back(change, self.table),
            *dual.remove(change, self.table),
            *self._keep_sequences(),
            *self._keep_identity(),
            away.put_away(change, self.table, self.old),
        )

    @property
    def takes_key(self) -> bool:
        """Say whether the primary key changes hands: what refers to it by then cannot be led back."""
        return any(one.kind == belongings.KEY for one in self.carry if isinstance(one, Constraint))

    def put_back(self, change: str) -> tuple[Do, ...]:
        """Take contract back: the old columns are written again, and hold what new clients have written meanwhile."""
        back = [f"ALTER COLUMN {quoted(one.name)} DROP DEFAULT" for one in self.new if one.default is not None]
        nulls = [f"ALTER COLUMN {quoted(one.name)} DROP NOT NULL" for one in self.new if one.not_null]
        open_again = f"ALTER TABLE {self.table} {', '.join(nulls)}"
        identity = self._keep_identity(back=True)
        if identity:  # it stays NOT NULL until it is handed back
            counts = has_column(self.table, self.new[0].name, "attidentity <> ''")
            identity = (Do(when(f"NOT {counts}", open_again)), *identity, Do(open_again))
        else:
            back += nulls
        follows = quoted(names.name("up_update", change, self.table))  # would change the new by what is led back
        return (
            away.bring_back(change, self.table, self.old),
            *self._keep_sequences(back=True),
            *((Do(f"ALTER TABLE {self.table} {', '.join(back)}"),) if back else ()),
            *identity[:1],
            dual.give_back(change, self.table),
            *dual.remove(change, self.table),
            *dual.install(change, self._dual),
            Do(f"ALTER TABLE {self.table} DISABLE TRIGGER {follows}"),
            away.fill_back(self.table, self.down, self._differs_back),
            *away.stand_again(change, self.table, self.old),
            *identity[1:],
            Do(f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {follows}"),
            away.forget(self.table, self.old),
        )

    def removal(self, change: str, keep: str = retired.KEEP) -> tuple[Do, ...]:
        """Drop the old columns for good, when `keep` is over."""
        every = [retired.remove_column(change, self.table, name, keep) for name in self.old]
        return tuple(do for one in every for do in one)

    def old_names(self) -> OldNames | None:
        return OldNames(self.table, self.old) if self.old else None

    @property
    def _dual(self) -> Dual:
        types = {one.name: one.type for one in self.new}
        return Dual(self.table, self.old, tuple(types), self.up, self.down, types)

    @property
    def _differs_back(self) -> str:
        return f"({self._dual.differs_down})" + (f" AND ({self._dual.differs_up})" if self.lossy else "")

    @property
    def _unfilled(self) -> str:
        """Find the rows that the backfill has to fill. What a new client wrote follows from nothing that is older."""
        if not self.old:
            return "(" + " OR ".join(f"r.{quoted(name)} IS NULL" for name in self.up) + ")"
        unwritten = f" AND (NOT ({self._dual.given}) OR {self._dual.differs_down})" if self.lossy else ""
        return f"(({self._dual.differs_up}){unwritten})"

    def _keys(self, condition: str) -> str:
        return f"SELECT {KEY} FROM {self.table} AS r WHERE {ROWS} AND {condition}"

    def _added(self, one: New) -> str:
        if one.name in self.up:
            return f"{quoted(one.name)} {one.type}"
        default = f" DEFAULT {one.default}" if one.default is not None else ""
        return f"{quoted(one.name)} {one.type}{default}{' NOT NULL' if one.not_null else ''}"

    def _keep_identity(self, *, back: bool = False) -> tuple[Do, ...]:
        """Let the new column count on, unless its author has told what it does instead."""
        if len(self.new) != 1 or len(self.old) != 1 or not self.new[0].not_null or self.new[0].default is not None:
            return ()
        of, to = (self.new[0].name, self.old[0]) if back else (self.old[0], self.new[0].name)
        return (identities.hand_over(self.table, of, to),)

    def _keep_sequences(self, *, back: bool = False) -> tuple[Do, ...]:
        """A sequence goes with the column that owns it: the default of the new one may go on to use it."""
        if not self.old or len(self.new) != 1 or "nextval" not in (self.new[0].default or ""):
            return ()
        of, to = ((self.new[0].name,), self.old[0]) if back else (self.old, self.new[0].name)
        old = f"ARRAY[{', '.join(map(literal, of))}]::text[]"
        return (
            Do(
                block(f"""DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT d.objid::regclass AS sequence
          FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a
            ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjid = {oid(self.table)} AND d.deptype = 'a'
           AND a.attname = ANY({old})
           AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.objid AND c.relkind = 'S')
    LOOP
        EXECUTE format('ALTER SEQUENCE %s OWNED BY {_in_format(self.table, to)}', one.sequence);
    END LOOP;
END""")
            ),
        )


def _in_format(table: str, column: str) -> str:
    return f"{table}.{quoted(column)}".replace("%", "%%").replace("'", "''")
