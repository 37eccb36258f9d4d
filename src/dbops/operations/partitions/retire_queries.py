"""What is asked of a database about partitions that leave it."""

from typing import LiteralString

TABLE: LiteralString = """
    SELECT c.oid, n.nspname, c.relname, c.relkind, p.partstrat, p.partnatts, a.attname,
           pg_catalog.format_type(a.atttypid, NULL), d.relname, dn.nspname, pg_catalog.pg_is_in_recovery()
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
      LEFT JOIN pg_catalog.pg_class d ON d.oid = p.partdefid
      LEFT JOIN pg_catalog.pg_namespace dn ON dn.oid = d.relnamespace
     WHERE n.nspname = %s AND c.relname = %s"""

PARTS: LiteralString = """
    SELECT c.oid, n.nspname, c.relname, c.relkind = 'r', i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false),
           pg_catalog.pg_get_expr(c.relpartbound, c.oid), pg_catalog.pg_total_relation_size(c.oid),
           greatest(c.reltuples, 0)::bigint,
           (SELECT array_agg(k.conname ORDER BY k.conname) FROM pg_catalog.pg_constraint k
             WHERE k.conrelid = c.oid AND k.contype = 'f'),
           (SELECT array_agg(DISTINCT k.confrelid::regclass::text) FROM pg_catalog.pg_constraint k
             WHERE k.conrelid = c.oid AND k.contype = 'f'),
           (SELECT array_agg(DISTINCT k.conrelid::regclass::text) FROM pg_catalog.pg_constraint k
             WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0)
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = %(parent)s
     WHERE (i.inhrelid IS NOT NULL OR c.oid = ANY(%(left)s)) AND c.relkind IN ('r', 'p', 'f')
     ORDER BY c.oid"""

# Who has a right on a table, or on a column of it, beside its owner. A superuser may always: the comparison tells.
GRANTEES: LiteralString = """
    SELECT c.oid, array_agg(DISTINCT CASE x.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee) END)
      FROM pg_catalog.pg_class c,
           LATERAL (SELECT c.relacl UNION ALL
                    SELECT t.attacl FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid) s (acl),
           LATERAL pg_catalog.aclexplode(s.acl) x
     WHERE c.oid = ANY(%s) AND x.grantee <> c.relowner
     GROUP BY c.oid"""

ENTRIES: LiteralString = """
    SELECT e.at, e.kind, e.detail FROM dbops.entries e, pg_catalog.pg_control_system() s, pg_catalog.pg_database d
     WHERE e.target = %s AND e.subject = 'partition' AND e.kind = ANY(%s)
       AND e.system_identifier = s.system_identifier AND e.database_oid = d.oid
       AND d.datname = pg_catalog.current_database()
     ORDER BY e.id"""

# Foreign keys that point to the partitioned table; those of its partitions hang below them.
INCOMING: LiteralString = """
    SELECT n.nspname, c.relname,
           (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.conkey) WITH ORDINALITY u (att, at)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.att),
           (SELECT array_agg(a.attname::text ORDER BY u.at) FROM unnest(k.confkey) WITH ORDINALITY u (att, at)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.att)
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.confrelid = %s AND k.contype = 'f' AND k.conparentid = 0"""

SOURCE: LiteralString = """
    SELECT s.system_identifier::text || '/' || d.oid::text, current_setting('server_version')
      FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d
     WHERE d.datname = pg_catalog.current_database()"""

# The name may by now be that of another table, and the table may have another name.
STILL: LiteralString = """
    SELECT n.nspname, c.relname, i.inhparent::regclass::text, coalesce(i.inhdetachpending, false)
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
     WHERE c.oid = %s"""

FOREIGN_KEYS: LiteralString = (
    "SELECT conname FROM pg_catalog.pg_constraint WHERE conrelid = %s AND contype = 'f' AND conparentid = 0"
)

HOLDERS: LiteralString = """
    SELECT a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), coalesce(a.state, '?')
      FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
     WHERE l.granted AND l.pid <> pg_backend_pid()
       AND l.relation IN (SELECT unnest(%(tables)s::oid[])
                           UNION SELECT k.confrelid FROM pg_catalog.pg_constraint k
                            WHERE k.contype = 'f' AND k.conrelid = ANY(%(tables)s::oid[]))
     GROUP BY 1, 2, 3, 4 ORDER BY 1 LIMIT 3"""
