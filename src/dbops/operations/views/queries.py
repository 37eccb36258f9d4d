"""What is asked of the catalogs about materialized views. Query text is constant: easy to read, to EXPLAIN, to grep."""

SERVER = """
    SELECT clock_timestamp(), pg_is_in_recovery(),
           concat_ws(' ', s.system_identifier, d.oid,
                     CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
                     -- set anew when counters are lost: by hand, and by the recovery after a crash
                     extract(epoch FROM pg_stat_get_db_stat_reset_time(d.oid)),
                     extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())),
           current_setting('track_counts')::bool
           AND NOT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS s (told) WHERE told ^@ 'track_counts='),
           s.system_identifier, d.oid
      FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()"""

EDGES = """
    WITH RECURSIVE reach (view, relation) AS (
        SELECT r.ev_class, d.refobjid
          FROM pg_class m
          JOIN pg_rewrite r ON r.ev_class = m.oid AND r.rulename = '_RETURN'
          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
         WHERE m.relkind = 'm' AND (%(roots)s::oid[] IS NULL OR m.oid = ANY (%(roots)s::oid[]))
        UNION
        SELECT r.ev_class, d.refobjid
          FROM reach
          JOIN pg_class v ON v.oid = reach.relation AND v.relkind = 'v'
          JOIN pg_rewrite r ON r.ev_class = v.oid AND r.rulename = '_RETURN'
          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class)
    SELECT view::bigint, relation::bigint FROM reach"""

NODES = """
    SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relowner::bigint, c.relrowsecurity,
           EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
                    WHERE option_name = 'security_invoker' AND option_value::bool)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY (%(oids)s::oid[])
        OR %(roots)s::oid[] IS NULL AND c.relkind = 'm' AND n.nspname <> 'dbops_attic'"""

VIEWS = """
    SELECT c.oid::bigint, c.relispopulated, pg_total_relation_size(c.oid), nullif(c.reltuples, -1)::bigint,
           pg_stat_get_live_tuples(c.oid), pg_stat_get_dead_tuples(c.oid), o.rolname::text,
           pg_has_role(c.relowner, 'USAGE'), i.usable,
           coalesce(i.invalid, '{}'),
           CASE WHEN i.usable IS NULL THEN (
               SELECT s.attname::text FROM pg_stats s
                WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.n_distinct = -1 AND s.null_frac = 0
                ORDER BY s.attname LIMIT 1) END
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
      LEFT JOIN LATERAL (
          SELECT min(x.indexrelid::regclass::text) FILTER (
                     -- what REFRESH ... CONCURRENTLY takes for a key: see is_usable_unique_index in matview.c
                     WHERE x.indisunique AND x.indimmediate AND x.indisvalid AND x.indpred IS NULL
                       AND NOT 0 = ANY (x.indkey::int2[]) AND a.amname = 'btree') AS usable,
                 array_agg(x.indexrelid::regclass::text) FILTER (WHERE NOT x.indisvalid) AS invalid
            FROM pg_index x JOIN pg_class k ON k.oid = x.indexrelid JOIN pg_am a ON a.oid = k.relam
           WHERE x.indrelid = c.oid) i ON true
     WHERE c.oid = ANY (%(views)s::oid[])"""

# Built-in functions leave no trace in pg_depend, so the stored query itself is searched: in it a constant is a list
# of bytes, so no text of a user looks like one of these.
DEFINITIONS = r"""
    WITH rule AS MATERIALIZED (
        SELECT r.ev_class AS oid, r.ev_action::text AS action FROM pg_rewrite r
         WHERE r.ev_class = ANY (%(views)s::oid[]) AND r.rulename = '_RETURN'),
    numbered AS MATERIALIZED (
        SELECT DISTINCT rule.oid, m[1] AS what, m[2]::bigint AS number
          FROM rule, regexp_matches(action, ':(funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|opno|relid) (\d+)', 'g') m),
    called AS (
        SELECT m.oid, p.oid AS function, p.proname, p.provolatile, p.xmin
          FROM numbered m LEFT JOIN pg_operator o ON m.what = 'opno' AND o.oid = m.number::oid
          JOIN pg_proc p ON p.oid = CASE m.what WHEN 'opno' THEN o.oprcode::oid ELSE m.number::oid END
         WHERE m.what <> 'relid')
    SELECT rule.oid::bigint,
           md5(rule.action || coalesce((SELECT string_agg(DISTINCT c.function || ' ' || c.xmin, ',') FROM called c
                                         WHERE c.oid = rule.oid AND c.function >= 16384), '')),
           coalesce((SELECT array_agg(DISTINCT c.proname::text) FROM called c
                      WHERE c.oid = rule.oid AND c.provolatile <> 'i'), '{}'),
           coalesce((SELECT array_agg(DISTINCT m[1]) FROM regexp_matches(rule.action,
                     '\{(SQLVALUEFUNCTION|COERCEVIAIO|NEXTVALUEEXPR|TABLESAMPLECLAUSE|XMLEXPR|JSON[A-Z]+)', 'g') m),
                    '{}'),
           EXISTS (SELECT FROM numbered m WHERE m.oid = rule.oid AND m.what = 'relid' AND m.number BETWEEN 1 AND 16383)
      FROM rule"""

# Counters and files of every table, and of the partitions and children that it has just now.
SIGNALS = """
    WITH RECURSIVE tree (root, oid, pending) AS (
        SELECT b.oid, b.oid, NULL::text FROM unnest(%(tables)s::oid[]) b (oid)
        UNION
        SELECT t.root, i.inhrelid, to_jsonb(i) ->> 'inhdetachpending'
          FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
    SELECT t.root::bigint,
           md5(string_agg(concat_ws(' ', c.oid, c.relfilenode, t.pending, pg_stat_get_tuples_inserted(c.oid),
                                    pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)),
                          ',' ORDER BY c.oid)),
           coalesce(array_agg(DISTINCT c.relkind::text) FILTER (WHERE c.relkind NOT IN ('r', 'p', 'm')), '{}'),
           array_agg(c.oid::bigint)
      FROM tree t JOIN pg_class c ON c.oid = t.oid GROUP BY t.root"""

# PostgreSQL's own rule, check_enable_rls(): who is bound by the row security of a table.
BINDING = """
    SELECT t.oid::bigint, o.oid::bigint, o.rolname::text
      FROM pg_class t, pg_roles o
     WHERE t.oid = ANY (%(tables)s::oid[]) AND o.oid = ANY (%(roles)s::oid[]) AND t.relrowsecurity
       AND NOT o.rolsuper AND NOT o.rolbypassrls
       AND NOT (pg_has_role(o.oid, t.relowner, 'USAGE') AND NOT t.relforcerowsecurity)"""

# A clone and a view that was dropped and made anew do not inherit what is told of another.
HISTORY = """
    SELECT s.oid, last.at, last.kind, last.error, good.read_at::timestamptz, good.server, good.definition, good.data,
           many.count, many.p50, many.p95
      FROM unnest(%(oids)s::bigint[], %(subjects)s::text[]) s (oid, subject)
     CROSS JOIN LATERAL (
          SELECT e.at, e.kind, e.detail ->> 'error' AS error FROM dbops.entries e
           WHERE e.subject = s.subject AND e.system_identifier = %(system)s AND e.database_oid = %(database)s
             AND e.detail ->> 'oid' = s.oid::text ORDER BY e.id DESC LIMIT 1) last
      LEFT JOIN LATERAL (
          SELECT e.detail ->> 'read_at' AS read_at, e.detail #>> '{signature,server}' AS server,
                 e.detail #>> '{signature,definition}' AS definition, e.detail #>> '{signature,data}' AS data
            FROM dbops.entries e
           WHERE e.subject = s.subject AND e.system_identifier = %(system)s AND e.database_oid = %(database)s
             AND e.detail ->> 'oid' = s.oid::text AND e.kind = 'MatviewRefreshed' ORDER BY e.id DESC LIMIT 1)
             good ON true
      LEFT JOIN LATERAL (
          SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY x.took) AS p50,
                 percentile_disc(0.95) WITHIN GROUP (ORDER BY x.took) AS p95
            FROM (SELECT (e.detail ->> 'took_s')::float8 AS took FROM dbops.entries e
                   WHERE e.subject = s.subject AND e.system_identifier = %(system)s AND e.database_oid = %(database)s
                     AND e.detail ->> 'oid' = s.oid::text AND e.kind = 'MatviewRefreshed'
                   ORDER BY e.id DESC LIMIT 100) x) many ON true"""

UNCHANGED = """
    SELECT s.oid, seen.at
      FROM unnest(%(oids)s::bigint[]) s (oid)
     CROSS JOIN LATERAL (
          SELECT e.at FROM (
              SELECT e.at, e.id, e.detail FROM dbops.entries e
               WHERE e.subject = 'views' AND e.kind = 'MatviewsUnchanged'
                 AND e.system_identifier = %(system)s AND e.database_oid = %(database)s
               ORDER BY e.id DESC LIMIT 50) e
           WHERE e.detail -> 'views' @> to_jsonb(s.oid) ORDER BY e.id DESC LIMIT 1) seen"""

# The partitioned tables above a table, by name: what is downstream of one of them is downstream of its partition.
NAMED = """
    WITH RECURSIVE up (oid) AS (
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = %(schema)s AND c.relname = %(name)s
        UNION
        SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.oid)
    SELECT up.oid::bigint FROM up"""
