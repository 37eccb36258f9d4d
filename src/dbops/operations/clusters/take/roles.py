"""The roles of a cluster as SQL that makes them again, without their passwords: those are in the backup itself."""

from typing import Any, LiteralString

from dbops.stores.postgres import Connection

_ROLES = """
    SELECT format('CREATE ROLE %I;', rolname)
           || format(E'\\nALTER ROLE %I WITH %s %s %s %s %s %s %s CONNECTION LIMIT %s%s;', rolname,
                CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END,
                CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
                CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
                CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
                CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
                CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
                CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END,
                rolconnlimit, coalesce(' VALID UNTIL ' || quote_literal(rolvaliduntil), ''))
           || coalesce(E'\\nCOMMENT ON ROLE ' || quote_ident(rolname) || ' IS '
                       || quote_literal(shobj_description(oid, 'pg_authid')) || ';', '')
      FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname"""
_MEMBERS = """
    SELECT format('GRANT %I TO %I%s;', r.rolname, m.rolname,
                  CASE WHEN admin_option THEN ' WITH ADMIN OPTION' ELSE '' END)
      FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
     WHERE m.rolname !~ '^pg_' ORDER BY 1"""
_SETTINGS = """
    SELECT format('ALTER ROLE %s%s SET %I TO %L;', coalesce(quote_ident(rolname), 'ALL'),
                  coalesce(' IN DATABASE ' || quote_ident(datname), ''),
                  split_part(one, '=', 1), substr(one, strpos(one, '=') + 1))
      FROM pg_db_role_setting s CROSS JOIN unnest(setconfig) AS one
      LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase ORDER BY 1"""


def statements(connection: Connection) -> str:
    """Write what makes every role, its memberships and its settings."""
    parts: list[str] = ["-- roles without passwords; the verifiers are in the physical backup"]
    for query in (_ROLES, _MEMBERS, _SETTINGS):
        parts += _lines(connection, query)
    return "\n".join([*parts, ""])


def _lines(connection: Connection, query: LiteralString) -> list[str]:
    rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
    return [str(row[0]) for row in rows]
