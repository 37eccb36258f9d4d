"""What new columns take over from the old ones at once: rights that were given on columns. Pure."""

# ruff: noqa: S608  # the parts are names and SQL of the revision's author

from collections.abc import Sequence

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.guarded import block, quoted
from dbops.operations.migrate.shapes.shape import Do


def grants(table: str, old: Sequence[str], new: Sequence[str]) -> Do:
    """Give to new columns what somebody has on each of the old ones; rights on the table hold for all columns."""
    names = f"ARRAY[{', '.join(map(literal, old))}]::text[]"
    columns = literal(", ".join(map(quoted, new)))
    return Do(
        block(f"""DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT x.privilege_type, CASE WHEN bool_and(x.is_grantable) THEN ' WITH GRANT OPTION' END AS more,
               CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END AS who
          FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) x
          LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
         WHERE a.attrelid = {literal(table)}::regclass AND a.attname = ANY({names})
         GROUP BY x.privilege_type, x.grantee, r.rolname
        HAVING count(DISTINCT a.attnum) = cardinality({names})
         ORDER BY 2, 1
    LOOP
        EXECUTE format('GRANT %s (%s) ON %s TO %s%s', one.privilege_type, {columns}, {literal(table)},
                       one.who, one.more);
    END LOOP;
END""")
    )
