"""A table gets another name; a view under the old one serves old clients as the table did, until it is dropped. Pure.

    RenamedTable(table="public.users", to="people")

Name and view change in one transaction. The view asks with the rights, and under the policies, of whoever uses it
(security_invoker, PostgreSQL 15). Through it work SELECT, FOR UPDATE, INSERT with defaults and RETURNING, ON CONFLICT
(columns), UPDATE, DELETE. What does not: COPY to or from the old name, TRUNCATE, ON CONFLICT ON CONSTRAINT, MERGE
before PostgreSQL 17, ctid and other system columns, foreign keys and DDL. Triggers see the new name in TG_TABLE_NAME,
and so do subscribers of a publication. A subscription would find a view that it cannot write: that is refused.
"""

from dataclasses import dataclass

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.across import schema_of, split
from dbops.operations.migrate.shapes.adds import Adds
from dbops.operations.migrate.shapes.exchange import RIGHTS
from dbops.operations.migrate.shapes.following import WHO
from dbops.operations.migrate.shapes.guarded import filled
from dbops.operations.migrate.shapes.shape import Do, OldNames

_VIEW = "CREATE VIEW {table} WITH (security_invoker = true) AS SELECT * FROM {to}"
_OUTFIT = """DO $outfit$
DECLARE
    path_was text = current_setting('search_path');
    old_rel oid = to_regclass(@to@);
    new_rel oid = to_regclass(@table@);
    each record;
    other record;
BEGIN
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR each IN SELECT s.subname FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
                 WHERE r.srrelid = old_rel
    LOOP
        RAISE EXCEPTION 'subscription % writes %: it would stop at the view under that name', each.subname, @table@
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'take the table out of the subscription first';
    END LOOP;
    EXECUTE (SELECT format('ALTER VIEW %s OWNER TO %s', new_rel::regclass, relowner::regrole)
               FROM pg_class WHERE oid = old_rel);
    FOR each IN SELECT old_rel AS old, new_rel AS new
    LOOP@rights@    END LOOP;
    EXECUTE format('COMMENT ON VIEW %s IS %L', new_rel::regclass, 'the old name of ' || old_rel::regclass);
    PERFORM set_config('search_path', path_was, true);
END
$outfit$"""


@dataclass(frozen=True, slots=True)
class RenamedTable(Adds):
    """A shape. `to` is a name in the schema of the table. Both names tell the same rows: nothing is compared."""

    table: str
    to: str

    def expand(self, change: str) -> tuple[Do, ...]:
        del change
        outfit = filled(_OUTFIT, table=literal(self.table), to=literal(self._to), rights=filled(RIGHTS, who=WHO))
        return (
            Do(f"ALTER TABLE {self.table} RENAME TO {split(self.to)[-1]}"),
            Do(_VIEW.format(table=self.table, to=self._to)),
            Do(outfit),
        )

    def undo(self, change: str) -> tuple[Do, ...]:
        """Drop the view and rename, unless that was done: each by itself, and in this order, it is one transaction."""
        del change
        return (
            Do(f"DROP VIEW IF EXISTS {self.table}"),
            Do(f"ALTER TABLE IF EXISTS {self._to} RENAME TO {split(self.table)[-1]}"),
        )

    def contract(self, change: str) -> tuple[Do, ...]:
        del change
        return (Do(f"DROP VIEW IF EXISTS {self.table}"),)

    def old_names(self) -> OldNames | None:
        return OldNames(self.table)

    @property
    def _to(self) -> str:
        return f"{schema_of(self.table)}.{split(self.to)[-1]}"
