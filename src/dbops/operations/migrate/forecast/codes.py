"""The hazards DBM1xx: what each is, how bad it is, and the way around it. Codes are never given another meaning."""

from dataclasses import dataclass
from typing import Literal

from dbops.engine.finding import Severity

BAD, WARNING, INFO = Severity.BAD, Severity.WARNING, Severity.INFO
Cost = Literal["brief", "scan", "build", "rewrite", "change"]


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    says: str
    recipe: str
    severity: Severity = BAD
    cost: Cost = "brief"  # what makes the lock long, and so harmless on a small table
    breaks: bool = False  # it hurts however small the table is
    squawk: tuple[str, ...] = ()  # the rules of squawk that mean the same


_NOT_NULL = (
    "ADD CONSTRAINT c CHECK (x IS NOT NULL) NOT VALID; in another transaction VALIDATE CONSTRAINT c; then"
    " ALTER COLUMN x SET NOT NULL, which believes the constraint and reads nothing; DROP CONSTRAINT c"
)
_LATER = "add the column without it, set it for new rows, backfill the old ones in batches (dbops migrate backfill)"
_CONCURRENTLY = "with op.get_context().autocommit_block(): CREATE INDEX CONCURRENTLY, alone in its revision"
_BY_INDEX = "CREATE UNIQUE INDEX CONCURRENTLY i, then ADD CONSTRAINT ... USING INDEX i, which is brief"
_NEW_COLUMN = "add a column beside it, write to both, backfill, verify, switch, contract (dbops migrate new)"
_CONTRACT = "drop it in a revision with phase = 'contract', whose gate asks for evidence that nobody uses it"
_SHORT = "it is brief, but it queues behind long transactions and all others queue behind it: keep lock_timeout short"
_VALIDATE = "ADD CONSTRAINT ... NOT VALID, and VALIDATE CONSTRAINT in another transaction: writers go on meanwhile"

CODES = {
    one.code: one
    for one in (
        Code(
            "DBM101",
            "a column with a volatile default rewrites the table",
            f"add the column, then ALTER COLUMN SET DEFAULT, then backfill; {_LATER}",
            cost="rewrite",
            squawk=("adding-field-with-default",),
        ),
        Code(
            "DBM102",
            "a serial column rewrites the table",
            "add a bigint column, create its sequence, SET DEFAULT nextval(...), backfill",
            cost="rewrite",
            squawk=("adding-serial-primary-key-field",),
        ),
        Code(
            "DBM103",
            "an identity or generated column rewrites the table",
            "add a plain column, let a trigger fill it, backfill",
            cost="rewrite",
            squawk=("adding-field-with-default",),
        ),
        Code(
            "DBM104",
            "a column of a domain with a constraint rewrites the table",
            "add a column of the base type and a CHECK NOT VALID, validate it later",
            cost="rewrite",
            squawk=("ban-create-domain-with-constraint", "ban-alter-domain-with-add-constraint"),
        ),
        Code(
            "DBM105",
            "a column with a CHECK reads the whole table under its lock",
            f"add the column alone; {_VALIDATE}",
            cost="scan",
        ),
        Code(
            "DBM106",
            "a column with UNIQUE or PRIMARY KEY builds the index under its lock",
            f"add the column alone; {_BY_INDEX}",
            cost="build",
            squawk=("disallowed-unique-constraint", "adding-serial-primary-key-field"),
        ),
        Code(
            "DBM107",
            "a column with REFERENCES stops the writers of both tables",
            f"add the column alone; {_VALIDATE}",
            WARNING,
            squawk=("adding-foreign-key-constraint",),
        ),
        Code(
            "DBM108",
            "a required column without a default fails where there are rows, and in old writers",
            "add it nullable or with a constant default, NOT NULL later",
            breaks=True,
            squawk=("adding-required-field",),
        ),
        Code(
            "DBM109",
            "a json column cannot be compared: SELECT DISTINCT and GROUP BY of the table fail",
            "take jsonb",
            WARNING,
            breaks=True,
        ),
        Code(
            "DBM110",
            "dropping a column breaks whoever names it, or reads * with a prepared statement",
            _CONTRACT,
            breaks=True,
            squawk=("ban-drop-column",),
        ),
        Code(
            "DBM111",
            "a rename breaks whoever uses the old name, at once",
            _NEW_COLUMN,
            breaks=True,
            squawk=("renaming-column", "renaming-table", "renaming-object", "ban-set-schema"),
        ),
        Code(
            "DBM112",
            "changing the type rewrites the table and all its indexes",
            _NEW_COLUMN,
            cost="rewrite",
            squawk=("changing-column-type",),
        ),
        Code(
            "DBM113",
            "timestamp to timestamptz rewrites the table, because TimeZone is not UTC",
            "SET LOCAL timezone = 'UTC' where the values are UTC: then nothing is rewritten; otherwise a new column",
            cost="rewrite",
            squawk=("changing-column-type",),
        ),
        Code(
            "DBM114",
            "SET NOT NULL reads the whole table under its lock",
            _NOT_NULL,
            cost="scan",
            squawk=("adding-not-nullable-field",),
        ),
        Code(
            "DBM115",
            "ADD CHECK reads the whole table under its lock",
            _VALIDATE,
            cost="scan",
            squawk=("constraint-missing-not-valid",),
        ),
        Code(
            "DBM116",
            "something long runs while an earlier statement's lock is held",
            "give it a transaction of its own: a revision of its own, or autocommit_block()",
            cost="scan",
        ),
        Code(
            "DBM117",
            "ADD FOREIGN KEY reads the table while the writers of both tables wait",
            f"{_VALIDATE}; index the child's columns first",
            cost="scan",
            squawk=("adding-foreign-key-constraint", "constraint-missing-not-valid"),
        ),
        Code(
            "DBM118",
            "a partitioned table takes no FOREIGN KEY NOT VALID before PostgreSQL 18",
            "add it NOT VALID to each partition and validate it there; then add it to the parent, which adopts them",
            breaks=True,
        ),
        Code(
            "DBM119",
            "dropping a foreign key takes ACCESS EXCLUSIVE on both tables",
            f"{_SHORT}; lock both in one LOCK TABLE, always in the same order",
            WARNING,
            squawk=("ban-drop-constraint",),
        ),
        Code(
            "DBM120",
            "ADD UNIQUE, PRIMARY KEY or EXCLUDE builds the index under its lock",
            f"{_BY_INDEX}; for EXCLUDE make a new table",
            cost="build",
            squawk=("disallowed-unique-constraint",),
        ),
        Code(
            "DBM121",
            "PRIMARY KEY USING INDEX on a nullable column reads the whole table under its lock",
            f"first make the column NOT NULL: {_NOT_NULL}",
            cost="scan",
        ),
        Code(
            "DBM122",
            "CREATE INDEX stops writers until it is built",
            _CONCURRENTLY,
            cost="build",
            squawk=("require-concurrent-index-creation",),
        ),
        Code(
            "DBM123",
            "DROP INDEX takes ACCESS EXCLUSIVE on the table",
            "DROP INDEX CONCURRENTLY, in autocommit_block()",
            WARNING,
            squawk=("require-concurrent-index-deletion",),
        ),
        Code(
            "DBM124",
            "REINDEX stops writers, and readers that want the index",
            "REINDEX ... CONCURRENTLY; afterwards drop what is named _ccnew or _ccold",
            cost="build",
            squawk=("require-concurrent-reindex",),
        ),
        Code(
            "DBM125",
            "an index on a partitioned table stops the writers of all partitions until it is built",
            "CREATE INDEX ON ONLY the parent, CONCURRENTLY on each partition, then ALTER INDEX ATTACH PARTITION",
            cost="build",
            squawk=("require-concurrent-index-creation",),
        ),
        Code(
            "DBM126",
            "ATTACH PARTITION reads the whole table under ACCESS EXCLUSIVE",
            "give it (and, negated, the default partition) a validated CHECK that proves its range, attach, drop the"
            " CHECK",
            cost="scan",
        ),
        Code(
            "DBM127",
            "CREATE TABLE PARTITION OF takes ACCESS EXCLUSIVE on the parent",
            "CREATE TABLE (LIKE parent INCLUDING ALL), then ATTACH PARTITION (dbops partition ensure does)",
            WARNING,
        ),
        Code(
            "DBM128",
            "DETACH PARTITION takes ACCESS EXCLUSIVE on the parent",
            "DETACH PARTITION CONCURRENTLY where there is no default partition (dbops partition retire)",
            WARNING,
            squawk=("require-concurrent-partition-detach",),
        ),
        Code(
            "DBM129",
            "the table is written anew: SET LOGGED, SET TABLESPACE, CLUSTER, VACUUM FULL",
            "pg_repack, or a new table beside it (dbops migrate new)",
            cost="rewrite",
            squawk=("prefer-repack",),
        ),
        Code(
            "DBM130",
            "TRUNCATE takes ACCESS EXCLUSIVE and removes all rows",
            "delete in batches; or drop what is no longer used in a contract revision",
            breaks=True,
            squawk=("ban-truncate-cascade",),
        ),
        Code(
            "DBM131",
            "a trigger is added or switched: SHARE ROW EXCLUSIVE, so writers wait",
            _SHORT,
            INFO,
            squawk=("ban-disable-trigger",),
        ),
        Code(
            "DBM132",
            "ACCESS EXCLUSIVE for a moment: policies, row security, owner, DROP TRIGGER",
            _SHORT,
            INFO,
            squawk=("ban-create-policy", "ban-drop-policy", "ban-alter-row-level-security", "ban-replica-identity"),
        ),
        Code(
            "DBM133",
            "an enum value is used in the transaction that adds it, which fails",
            "ALTER TYPE ADD VALUE in a revision of its own, before the one that uses the value",
            breaks=True,
        ),
        Code(
            "DBM134",
            "REFRESH MATERIALIZED VIEW stops its readers",
            "a unique index, then REFRESH MATERIALIZED VIEW CONCURRENTLY (dbops matview refresh)",
            cost="scan",
        ),
        Code(
            "DBM135",
            "a table or materialized view is dropped with its rows",
            _CONTRACT,
            breaks=True,
            squawk=("ban-drop-table",),
        ),
        Code(
            "DBM136",
            "one transaction takes strong locks on several tables, one after the other",
            "one strong lock for each transaction: part the revision",
            WARNING,
        ),
        Code(
            "DBM137",
            "in psql, IF NOT EXISTS keeps an invalid index that an earlier attempt left behind",
            "dbops and env.py look, and drop it first; for a script, leave IF NOT EXISTS out, or look at indisvalid",
            INFO,
        ),
        Code(
            "DBM138",
            "rows are changed by a revision: one long transaction, whose row locks and WAL grow with the table",
            "in batches: dbops migrate backfill",
            cost="change",
        ),
        Code(
            "DBM139",
            "renaming an enum value breaks writers of the old one, at once",
            "add the new value, move the rows, stop using the old one",
            breaks=True,
            squawk=("ban-alter-enum",),
        ),
        Code("DBM140", "a new table with a foreign key stops the writers of the table it refers to", _SHORT, INFO),
        Code(
            "DBM141",
            "a table is read whole under a lock that stops its writers, for a reason that no other code names",
            "look for a form with NOT VALID or CONCURRENTLY; else a column beside it (dbops migrate new)",
            cost="scan",
        ),
        Code(
            "DBM142",
            "a view is dropped, and not made anew in the same transaction: who reads it fails at once",
            _CONTRACT,
            breaks=True,
            squawk=("ban-drop-view",),
        ),
        Code(
            "DBM143",
            "it cannot run inside a transaction block",
            "with op.get_context().autocommit_block(): ...",
            breaks=True,
            squawk=("ban-concurrent-index-creation-in-transaction",),
        ),
        Code("DBM144", "it leaves an invalid index", "drop it, or REINDEX INDEX CONCURRENTLY", breaks=True),
        Code(
            "DBM150",
            "phase = 'expand' destroys nothing, but this statement does",
            "move it into a revision with phase = 'contract'",
            breaks=True,
        ),
        Code(
            "DBM151",
            "a revision with phase = 'contract' asks for no gate",
            "dbops migrate contract --write makes the revision with its gate, SQL that reads schema dbops",
            breaks=True,
        ),
        Code("DBM152", "phase is none that there is", "expand, contract or rollback", WARNING, breaks=True),
        Code(
            "DBM160",
            "the forecast was made by another version of PostgreSQL than the database's",
            "install the server of that version here; dbops takes the newest that it finds",
            INFO,
            breaks=True,
        ),
    )
}
