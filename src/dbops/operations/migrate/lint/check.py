"""The rules DBM2xx, one small function each: from facts to what is wrong, with why and what to do."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dbops.engine.finding import Finding, Severity
from dbops.operations.migrate.forecast.codes import CODES
from dbops.operations.migrate.lint.facts import Agreed, Allowance, Facts, Silenced
from dbops.operations.migrate.lint.settings import unsafe
from dbops.operations.migrate.parsing import parsed

LIMIT = 63  # bytes; PostgreSQL cuts longer names in silence


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that one object does not keep."""

    object: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    says: str
    find: Callable[[Facts, Agreed], Iterator[Breach]]
    severity: Severity = Severity.WARNING


# ── The catalog ──────────────────────────────────────────────────────────────────────────────────


def _primary_keys(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for table in facts.tables:
        types = {column.type for column in table.columns if column.name in table.primary_key}
        if not table.primary_key:
            yield Breach(
                table.name, f"{table.name} has no primary key", "id UUID PRIMARY KEY DEFAULT gen_random_uuid()"
            )
        elif "uuid" not in types:
            key = ", ".join(table.primary_key)
            yield Breach(
                table.name,
                f"the primary key ({key}) of {table.name} holds no UUID: {', '.join(sorted(types))}",
                "a UUID can be made anywhere, and means the same row in every store",
            )


def _foreign_keys(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for table in facts.tables:
        for key in table.foreign_keys:
            wanted, many = set(key.columns), len(key.columns)
            if not any(set(index[:many]) == wanted for index in table.indexes):
                yield Breach(
                    f"{table.name}.{key.name}",
                    f"no index of {table.name} begins with ({', '.join(key.columns)}), the columns of {key.name}",
                    "each delete of a parent scans the whole table: create the index",
                )


def _created_at(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for table in facts.tables:
        if "created_at" not in table.column_names:
            yield Breach(
                table.name,
                f"{table.name} does not tell when a row was made: it has no created_at",
                "created_at TIMESTAMPTZ NOT NULL DEFAULT now(), or the reason in lint.toml",
            )


def _updated_at(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for table in facts.tables:
        keys = {column for key in table.foreign_keys for column in key.columns} | set(table.primary_key)
        changing = table.column_names - keys - {"created_at"}
        if changing and "updated_at" not in table.column_names:
            yield Breach(
                table.name,
                f"{table.name} does not tell when a row was changed: it has no updated_at",
                "updated_at TIMESTAMPTZ, kept by a trigger; where rows never change, say so in lint.toml",
            )


def _tenants(facts: Facts, agreed: Agreed) -> Iterator[Breach]:
    for table in facts.tables:
        column = next((name for name in agreed.tenant_columns if name in table.column_names), None)
        if column is None:
            continue
        lacks = [
            told
            for there, told in (
                (table.row_security, "row security is off"),
                (table.forced or not table.row_security, "it is not forced, so the owner sees all"),
                (table.policies > 0, "no policy says who sees what"),
            )
            if not there
        ]
        if lacks:
            yield Breach(
                table.name,
                f"{table.name} has {column}, but {'; '.join(lacks)}",
                "objects.enable_row_security(...) and objects.create_policy(...)",
            )


def _comments(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for table in facts.tables:
        if not (table.comment or "").strip():
            yield Breach(table.name, f"{table.name} has no comment", 'create_table(..., comment="what its rows are")')


def _timestamps(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for table in facts.tables:
        for column in table.columns:
            if re.fullmatch(r"timestamp(\(\d\))? without time zone(\[\])*", column.type):
                yield Breach(
                    f"{table.name}.{column.name}",
                    f"{table.name}.{column.name} is a {column.type}: it means another instant in each session",
                    "sa.TIMESTAMP(timezone=True)",
                )


def _settings(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for code in facts.code:
        for problem in sorted(set(unsafe(code.text))):
            yield Breach(
                code.name,
                f"{code.kind} {code.name} {problem}",
                "NULLIF(current_setting('app.x', true), '')::uuid: a setting that is not there shows no rows",
            )


def _definers(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for code in facts.code:
        if code.definer and not code.search_path:
            yield Breach(
                code.name,
                f"{code.name} is SECURITY DEFINER and fixes no search_path: a caller can put his own tables in front",
                "SET search_path = pg_catalog, public",
            )


def _long_names(facts: Facts, _: Agreed) -> Iterator[Breach]:
    hint = f"a name has {LIMIT} bytes at most; PostgreSQL cuts the rest in silence"
    written: set[str] = set()
    for script in facts.scripts:
        for statement in script.statements:
            for name in _identifiers(statement):
                written.add(name)
                if len(name.encode()) > LIMIT:
                    message = f"{script.file} names {name!r}, which has {len(name.encode())} bytes"
                    yield Breach(name, message, hint)
    for kind, name in facts.names:
        # where PostgreSQL puts a name together it cuts its parts so that it fits exactly
        if len(name.encode()) >= LIMIT and name not in written and not any(one.startswith(name) for one in written):
            yield Breach(name, f"{kind} {name} was named by PostgreSQL, and is cut", f"name it yourself; {hint}")


_WORD = re.compile(r"""'(?:[^']|'')*'|--[^\n]*|/\*[\s\S]*?\*/|"((?:[^"]|"")*)"|([A-Za-z_\u0080-\uffff][\w$]*)""")


def _identifiers(statement: str) -> Iterator[str]:
    for quoted, plain in _WORD.findall(statement):
        if quoted or plain:
            yield quoted.replace('""', '"') or plain.lower()


# ── The revisions ────────────────────────────────────────────────────────────────────────────────


def _online_only(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for script in facts.scripts:
        for name in sorted(set(_asked_of_the_database(script.source))):
            yield Breach(
                script.id,
                f"{script.file} uses {name}: its offline script (migrate sql) would lack what depends on it",
                "write it as SQL that decides by itself (DO, IF NOT EXISTS), or use attic.*",
            )


def _asked_of_the_database(source: str) -> Iterator[str]:
    whole = parsed(source)
    # op.get_context().autocommit_block() is how a statement leaves the transaction, and is in the script too
    ending = {
        (node.lineno, node.col_offset)
        for node in ast.walk(whole)
        if isinstance(node, ast.Attribute) and node.attr == "autocommit_block" and _is_context(node.value)
    }
    for node in ast.walk(whole):
        match node:
            case ast.Attribute(attr="get_bind" | "get_context" as name, value=ast.Name(id=("op" | "context") as where)):
                if (node.lineno, node.col_offset) not in ending:
                    yield f"{where}.{name}"
            case ast.ImportFrom(module="alembic.op" | "alembic.context" as where, names=names):
                yield from (f"{where}.{one.name}" for one in names if one.name in {"get_bind", "get_context"})
            case _:
                pass


def _is_context(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_context"


def _file_names(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for script in facts.scripts:
        if not _MINUTE.fullmatch(script.id):
            yield Breach(script.id, f"revision {script.id} of {script.file} is not named by its minute", _NAMED)
        elif not re.fullmatch(rf"{script.id}_[a-z0-9]+(_[a-z0-9]+)*\.py", script.file):
            yield Breach(script.id, f"{script.file} is not named {script.id}_<what it does>.py", _NAMED)


# What ends a change is named by the minute of its beginning.
_MINUTE = re.compile(r"\d{4}_\d{2}_\d{2}_\d{4}(_(contract|remove|rollback))?")
_NAMED = "YYYY_MM_DD_HHMM_description.py, and the revision is the instant"


def _todos(facts: Facts, _: Agreed) -> Iterator[Breach]:
    for script in facts.scripts:
        lines = [n for n, line in enumerate(script.source.splitlines(), 1) if re.search(r"\b(TODO|FIXME|XXX)\b", line)]
        if lines:
            where = ", ".join(map(str, lines))
            yield Breach(script.id, f"{script.file} is unfinished: TODO in line {where}", "do it, or take it out")


RULES = (
    Rule("DBM201", "the primary key holds a UUID", _primary_keys),
    Rule("DBM202", "each foreign key has an index that begins with its columns", _foreign_keys),
    Rule("DBM203", "each table has created_at", _created_at),
    Rule("DBM204", "a table whose rows change has updated_at", _updated_at),
    Rule("DBM205", "a table of tenants has row security, forced, with a policy", _tenants),
    Rule("DBM206", "settings are read with missing_ok, and cast behind NULLIF", _settings, Severity.BAD),
    Rule("DBM207", "SECURITY DEFINER fixes the search_path", _definers, Severity.BAD),
    Rule("DBM208", "timestamps have a time zone", _timestamps),
    Rule("DBM209", "names have at most 63 bytes", _long_names),
    Rule("DBM210", "each table has a comment", _comments),
    Rule("DBM211", "a revision asks nothing of the database", _online_only),
    Rule("DBM212", "a file is named by its revision and what it does", _file_names),
    Rule("DBM213", "a revision is finished: no TODO", _todos),
)
ALLOWANCE = "DBM214"  # about lint.toml itself


def check(facts: Facts, agreed: Agreed, *, stale: bool = True) -> tuple[list[Finding], list[Silenced]]:
    """Tell what breaks a rule, and what is allowed to; with `stale`, allowances that cover nothing are told too."""
    findings: list[Finding] = []
    silenced: list[Silenced] = []
    allowed = {(one.rule, one.object): one for one in agreed.allowances}
    used: set[tuple[str, str]] = set()
    for severity, code, breach, others in _breaches(facts, agreed):
        keys = [(code, name) for name in (breach.object, *others)]
        used.update(keys)
        allowance = next((allowed[key] for key in keys if key in allowed and allowed[key].reason), None)
        if allowance is not None:
            silenced.append(Silenced(code, facts.target, breach.object, breach.message, allowance.reason))
        else:
            findings.append(Finding(severity, code, facts.target, breach.message, breach.hint))
    findings += _about_allowances(agreed.allowances, used if stale else set(allowed), facts.target)
    if agreed.baseline is not None and stale and agreed.baseline not in {script.id for script in facts.scripts}:
        message = f"lint.toml has the baseline {agreed.baseline}, which is no revision"
        findings.append(Finding(Severity.WARNING, ALLOWANCE, facts.target, message, "name the last one of them"))
    return findings, silenced


def _breaches(facts: Facts, agreed: Agreed) -> Iterator[tuple[Severity, str, Breach, tuple[str, ...]]]:
    """Tell each with its severity, its code, and by what other name it may be allowed."""
    for rule in RULES:
        for breach in rule.find(facts, agreed):
            yield rule.severity, rule.code, breach, ()
    for one in facts.hazards:
        yield one.severity, one.code, Breach(one.revision, one.message, one.hint), (one.table,) if one.table else ()


def _about_allowances(allowances: Iterable[Allowance], used: set[tuple[str, str]], target: str) -> Iterator[Finding]:
    known = {rule.code for rule in RULES} | CODES.keys()
    for one in allowances:
        about = f"lint.toml allows {one.rule} for {one.object}"
        if one.rule not in known:
            yield Finding(Severity.WARNING, ALLOWANCE, target, f"{about}, which is no rule", f"one of {min(known)} ...")
        elif not one.reason:
            yield Finding(Severity.WARNING, ALLOWANCE, target, f"{about} without a reason", "say why it is right so")
        elif (one.rule, one.object) not in used:
            yield Finding(Severity.WARNING, ALLOWANCE, target, f"{about}, where nothing breaks it", "take it out")
