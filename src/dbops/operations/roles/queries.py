"""What the catalogs are asked. Run with search_path = pg_catalog, so that every name comes back qualified.

`%(…)s` are values; nothing else of psycopg's marks occurs here.
"""
# ruff: noqa: S608  # put together from constants of this file: LiteralString holds that

from typing import LiteralString

ROLES: LiteralString = """
    SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolreplication, rolbypassrls,
           rolconnlimit, shobj_description(oid, 'pg_authid'), oid = 10,
           coalesce(rolvaliduntil < now(), false)
      FROM pg_roles ORDER BY rolname"""

MAY_READ_VERIFIERS: LiteralString = "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')"

VERIFIERS: LiteralString = "SELECT rolname, rolpassword FROM pg_authid"

MEMBERSHIPS: LiteralString = """
    SELECT above.rolname, below.rolname,
           coalesce(array_agg(g.rolname ORDER BY g.rolname)
                    FILTER (WHERE current_setting('server_version_num')::int >= 160000 AND g.oid IS NOT NULL), '{}'),
           bool_or(m.admin_option)
      FROM pg_auth_members m JOIN pg_roles above ON above.oid = m.roleid JOIN pg_roles below ON below.oid = m.member
      LEFT JOIN pg_roles g ON g.oid = m.grantor
     GROUP BY 1, 2"""

SESSIONS: LiteralString = """
    SELECT usename, coalesce(datname, ''), coalesce(application_name, ''), coalesce(host(client_addr), ''), count(*)
      FROM pg_stat_activity
     WHERE usename IS NOT NULL AND pid <> pg_backend_pid() AND NOT starts_with(coalesce(application_name, ''), 'dbops ')
       AND (%(database)s::text IS NULL OR datname = %(database)s)
     GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""

# Of roles that must go. Policies count as owned: DROP OWNED would drop one with its last role. What hangs on shared
# objects (grants on databases) is told for the current database: it can be taken back from anywhere.
HOLDINGS: LiteralString = """
    SELECT r.rolname, coalesce(d.datname, current_database()),
           count(*) FILTER (WHERE s.deptype IN ('o', 'r') AND s.classid <> 'pg_auth_members'::regclass),
           count(*) FILTER (WHERE s.deptype NOT IN ('o', 'r') OR s.classid = 'pg_auth_members'::regclass)
      FROM pg_shdepend s
      JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid
     WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = ANY(%(roles)s)
     GROUP BY 1, 2"""

HOLDERS: LiteralString = """
    SELECT DISTINCT a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), coalesce(a.state, '?')
      FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE l.granted AND a.pid <> pg_backend_pid() AND n.nspname = %(schema)s AND c.relname = %(name)s LIMIT 3"""

OWNS_HERE: LiteralString = """
    SELECT count(*)
      FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
     WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = %(role)s AND s.deptype IN ('o', 'r')
       AND s.classid <> 'pg_auth_members'::regclass
       AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"""

CONTEXT: LiteralString = "SELECT current_database(), session_user"

BYPASSING: LiteralString = "SELECT rolname FROM pg_roles WHERE rolsuper OR rolbypassrls"

ROLE_NAMES: LiteralString = "SELECT rolname FROM pg_roles"

# grantee (none: PUBLIC), privilege, grantor, grant option
_ACL: LiteralString = """(
    SELECT coalesce(json_agg(json_build_array(
               CASE a.grantee WHEN 0 THEN NULL ELSE coalesce(g.rolname, a.grantee::text) END,
               a.privilege_type, coalesce(o.rolname, a.grantor::text), a.is_grantable)), '[]')
      FROM aclexplode({}) a LEFT JOIN pg_roles g ON g.oid = a.grantee LEFT JOIN pg_roles o ON o.oid = a.grantor)"""
# The ledger's schema stays the administrator's: see stores/ledger.py.
_OWN_SCHEMAS: LiteralString = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'dbops')"
_NO_MEMBER: LiteralString = """ AND NOT EXISTS (
           SELECT FROM pg_depend e WHERE e.classid = '{}'::regclass AND e.objid = {}.oid AND e.deptype = 'e')"""


def _acl(column: LiteralString) -> LiteralString:
    return _ACL.format(column)


DATABASE: LiteralString = (
    "SELECT d.datname, r.rolname, "
    + _acl("coalesce(d.datacl, acldefault('d', d.datdba))")
    + " FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()"
)

SCHEMAS: LiteralString = (
    "SELECT n.nspname, r.rolname, "
    + _acl("coalesce(n.nspacl, acldefault('n', n.nspowner))")
    + " FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE "
    + _OWN_SCHEMAS
    + _NO_MEMBER.format("pg_namespace", "n")
)

# A view reads a row-secured table when it, or a view that it reads, does.
RELATIONS: LiteralString = (
    """
    WITH RECURSIVE reads(view, relation) AS (
        SELECT w.ev_class, d.refobjid
          FROM pg_rewrite w JOIN pg_depend d
            ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
         WHERE w.ev_class >= 16384 AND d.refobjid <> w.ev_class
        UNION
        SELECT r.view, d.refobjid
          FROM reads r JOIN pg_rewrite w ON w.ev_class = r.relation JOIN pg_depend d
            ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
         WHERE d.refobjid <> w.ev_class
    ), secured AS (
        SELECT DISTINCT r.view FROM reads r JOIN pg_class t ON t.oid = r.relation AND t.relrowsecurity
    )
    SELECT c.relkind::text, n.nspname, c.relname, r.rolname, """
    + _acl(
        "coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, c.relowner))"
    )
    + """,
           (SELECT coalesce(json_agg(json_build_array(an.nspname, a.relname)), '[]')
              FROM pg_partition_ancestors(c.oid) p(oid) JOIN pg_class a ON a.oid = p.oid
              JOIN pg_namespace an ON an.oid = a.relnamespace WHERE a.oid <> c.oid),
           (SELECT json_build_array(tn.nspname, t.relname)
              FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
             WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
               AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 LIMIT 1),
           c.oid IN (SELECT view FROM secured),
           EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
                    WHERE option_name = 'security_invoker' AND option_value::bool)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND """
    + _OWN_SCHEMAS
    + _NO_MEMBER.format("pg_class", "c")
)

ROUTINES: LiteralString = (
    "SELECT n.nspname, p.oid::regprocedure::text, r.rolname, "
    + _acl("coalesce(p.proacl, acldefault('f', p.proowner))")
    + """, p.prosecdef, EXISTS (SELECT FROM unnest(p.proconfig) s WHERE starts_with(s, 'search_path='))
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
     WHERE """
    + _OWN_SCHEMAS
    + _NO_MEMBER.format("pg_proc", "p")
)

TYPES: LiteralString = (
    """
    SELECT t.typtype = 'd', n.nspname, t.typname, r.rolname
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_roles r ON r.oid = t.typowner
      LEFT JOIN pg_class c ON c.oid = t.typrelid
     WHERE (t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c') AND """
    + _OWN_SCHEMAS
    + _NO_MEMBER.format("pg_type", "t")
    + _NO_MEMBER.format("pg_class", "c")
)

DEFAULTS: LiteralString = (
    "SELECT r.rolname, n.nspname, d.defaclobjtype::text, "
    + _acl("d.defaclacl")
    + """ FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole
      LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"""
)

COLUMNS: LiteralString = (
    """
    SELECT DISTINCT n.nspname, c.relname, coalesce(g.rolname, '')
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL aclexplode(a.attacl) x LEFT JOIN pg_roles g ON g.oid = x.grantee
     WHERE NOT a.attisdropped AND x.grantee <> c.relowner AND """
    + _OWN_SCHEMAS
    + _NO_MEMBER.format("pg_class", "c")
)
