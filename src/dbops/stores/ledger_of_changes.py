"""The tables of the ledger that changes need while they are under way: jobs, what controls them, who reads the new.

Their rows are written in the transaction of the rows that they tell of. What must never be lost is an entry; these are
overwritten as work goes on, and mean nothing in a clone: `jobs` carry the server that they ran on.
"""

_JOBS = """CREATE TABLE dbops.jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('backfill', 'verify', 'verify back')),
    part int NOT NULL,
    parts int NOT NULL,
    work text NOT NULL, -- the hash of what is done: another statement is another job
    run text NOT NULL,
    begun timestamptz NOT NULL DEFAULT clock_timestamp(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished timestamptz,
    low jsonb, -- of this part, not in it; null: from the first
    high jsonb, -- of this part, in it; null: to the last
    cursor jsonb, -- done up to here
    rows_total bigint NOT NULL DEFAULT 0, -- an estimate
    rows_seen bigint NOT NULL DEFAULT 0,
    rows_changed bigint NOT NULL DEFAULT 0, -- by a backfill; by a comparison: those that differ
    batch_rows int NOT NULL,
    busy_ms bigint NOT NULL DEFAULT 0,
    throttled_ms bigint NOT NULL DEFAULT 0,
    throttled_by text, -- what it waits for just now
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    timeline int NOT NULL,
    UNIQUE (change, kind, work, part))"""
_CHUNKS = """CREATE TABLE dbops.chunks (
    job bigint NOT NULL REFERENCES dbops.jobs ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    high jsonb NOT NULL,
    rows_seen int NOT NULL,
    rows_changed int NOT NULL,
    ms int NOT NULL)"""
_SET_ASIDE = """CREATE TABLE dbops.set_aside (
    job bigint NOT NULL REFERENCES dbops.jobs ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    key jsonb NOT NULL, -- names the row; never what is in it
    reason text NOT NULL)"""
_CONTROLS = """CREATE TABLE dbops.controls (
    change text PRIMARY KEY,
    paused bool NOT NULL DEFAULT false,
    rows_per_s int CHECK (rows_per_s > 0),
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp())"""
_READERS = """CREATE TABLE dbops.readers (
    change text PRIMARY KEY,
    percent int NOT NULL CHECK (percent BETWEEN 0 AND 100),
    at timestamptz NOT NULL DEFAULT clock_timestamp())"""
_CONFLICTS = """CREATE TABLE dbops.conflicts (
    change text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL DEFAULT session_user)"""
# For applications: who asks with the same key is always answered the same, and stays with the new once it is there.
_READ_NEW = """CREATE FUNCTION dbops.read_new(change text, key text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$SELECT coalesce((SELECT (hashtextextended(key, hashtextextended(change, 0)) & 9223372036854775807) % 100
                              < r.percent
                         FROM dbops.readers r WHERE r.change = read_new.change), false)$$"""
# For the triggers of a change, which run as whoever writes: a row where old and new were both set, and disagree.
_CONFLICT = """CREATE FUNCTION dbops.conflict(change text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$INSERT INTO dbops.conflicts (change) VALUES (conflict.change)$$"""

CREATE = (
    _JOBS,
    _CHUNKS,
    "CREATE INDEX chunks_of_job ON dbops.chunks (job, at)",
    _SET_ASIDE,
    "CREATE INDEX set_aside_of_job ON dbops.set_aside (job)",
    _CONTROLS,
    _READERS,
    _CONFLICTS,
    _READ_NEW,
    _CONFLICT,
    "GRANT USAGE ON SCHEMA dbops TO PUBLIC",
    "GRANT EXECUTE ON FUNCTION dbops.read_new(text, text), dbops.conflict(text) TO PUBLIC",
)
GRANTED = """GRANT SELECT, INSERT, UPDATE, DELETE ON
    dbops.jobs, dbops.chunks, dbops.set_aside, dbops.controls, dbops.readers, dbops.conflicts TO {}"""
